//! Methods as text: `stitched`, `stitched:100`, `stitched:clusters=25,top_k=32,window=none`.

use super::{Clustering, Guard, GuardAction, KeyGroups, Method, Neighbourhood, Space, Stitched};
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Clusters where a text names none.
const CLUSTERS: usize = 25;

/// The method's name and all of its options, as [`Method::from_str`] reads them.
///
/// ```
/// use clustered_attention::Method;
/// let method = Method::stitched(25).with_window(None);
/// assert_eq!(method.to_string().parse(), Ok(method));
/// ```
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = |value: Option<usize>| value.map_or("none".into(), |value| value.to_string());
        let mut options: Vec<(&str, String)> = Vec::new();
        if let Some(clustering) = self.clustering() {
            let Clustering { clusters, space, bits, iterations, bias, center, euclidean_steps, samples, seed } =
                *clustering;
            options.extend([
                ("clusters", clusters.to_string()),
                ("space", space.to_string()),
                ("bits", bits.to_string()),
            ]);
            options.extend([("iterations", iterations.to_string()), ("bias", bias.to_string())]);
            options.extend([("center", center.to_string()), ("euclidean_steps", euclidean_steps.to_string())]);
            options.extend([("samples", samples.to_string()), ("seed", seed.to_string())]);
        }
        match *self {
            Self::Exact | Self::Clustered { .. } => {}
            Self::Improved { top_k, .. } => options.push(("top_k", top_k.to_string())),
            Self::Stitched(stitched) | Self::Auto(stitched) => {
                let Stitched { top_k, window, key_groups, guard, .. } = stitched;
                let KeyGroups { groups, samples, rounds, spread } = key_groups;
                options.push(("top_k", top_k.to_string()));
                match window {
                    None => options.push(("window", optional(None))),
                    Some(Neighbourhood::Band(half_width)) => options.push(("window", half_width.to_string())),
                    Some(Neighbourhood::Grid(grid)) => {
                        options.extend([("grid", grid.to_string()), ("radius", grid.radius_text())]);
                    }
                }
                options.extend([("key_groups", groups.to_string()), ("key_samples", samples.to_string())]);
                options.extend([("key_rounds", rounds.to_string()), ("spread", spread.to_string())]);
                let Guard { action, rows, tolerance } = guard;
                options.extend([("guard", action.to_string()), ("guard_rows", rows.to_string())]);
                options.push(("guard_tolerance", tolerance.to_string()));
            }
            Self::Window { left, right, sinks } => {
                options.extend([("left", optional(left)), ("right", optional(right)), ("sinks", sinks.to_string())]);
            }
        }
        f.write_str(self.name())?;
        for (index, (name, value)) in options.into_iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// Reads a name, with options behind a colon; what is not named has its default, 25 clusters among them, and an unbounded window. A bare
/// number is that of the clusters.
///
/// # Errors
/// [`Error::OutOfRange`] names what cannot be read. Ranges are checked by [`Problem::new`](crate::Problem::new).
impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, options) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let mut method = match name {
            "exact" => Self::Exact,
            "clustered" => Self::clustered(CLUSTERS),
            "improved" => Self::improved(CLUSTERS),
            "stitched" => Self::stitched(CLUSTERS),
            "window" => Self::Window { left: None, right: None, sinks: 0 },
            "auto" => Self::auto(CLUSTERS),
            _ => return Err(refused("method", name, "exact, clustered, improved, stitched, window or auto")),
        };
        for option in options.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or(("clusters", option));
            method.set(name.trim(), value.trim())?;
        }
        Ok(method)
    }
}

impl Method {
    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let clustering = match self {
            Self::Clustered { clustering }
            | Self::Improved { clustering, .. }
            | Self::Stitched(Stitched { clustering, .. })
            | Self::Auto(Stitched { clustering, .. }) => Some(clustering),
            Self::Exact | Self::Window { .. } => None,
        };
        if let Some(clustering) = clustering {
            match name {
                "clusters" => return read("clusters", value, &mut clustering.clusters),
                "space" => {
                    clustering.space = value.parse()?;
                    return Ok(());
                }
                "samples" => return read("samples", value, &mut clustering.samples),
                "bits" => return read("bits", value, &mut clustering.bits),
                "iterations" => return read("iterations", value, &mut clustering.iterations),
                "bias" => return read("bias", value, &mut clustering.bias),
                "center" => return read("center", value, &mut clustering.center),
                "euclidean_steps" => return read("euclidean_steps", value, &mut clustering.euclidean_steps),
                "seed" => return read("seed", value, &mut clustering.seed),
                _ => {}
            }
        }
        match (self, name) {
            (Self::Improved { top_k, .. }, "top_k") => read("top_k", value, top_k),
            (Self::Stitched(stitched) | Self::Auto(stitched), "top_k") => read("top_k", value, &mut stitched.top_k),
            (Self::Stitched(stitched) | Self::Auto(stitched), "window") => {
                let mut half_width = None;
                read_optional("window", value, &mut half_width)?;
                stitched.window = half_width.map(Neighbourhood::Band);
                Ok(())
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "grid") => {
                stitched.window = Some(Neighbourhood::Grid(value.parse()?));
                Ok(())
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "radius") => match &mut stitched.window {
                Some(Neighbourhood::Grid(grid)) => {
                    *grid = grid.with_radius_text(value)?;
                    Ok(())
                }
                _ => Err(refused("radius", value, "behind a grid")),
            },
            (Self::Stitched(stitched) | Self::Auto(stitched), "key_groups") => {
                read("key_groups", value, &mut stitched.key_groups.groups)
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "key_samples") => {
                read("key_samples", value, &mut stitched.key_groups.samples)
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "key_rounds") => {
                read("key_rounds", value, &mut stitched.key_groups.rounds)
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "spread") => {
                read("spread", value, &mut stitched.key_groups.spread)
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "guard") => {
                stitched.guard.action = value.parse()?;
                Ok(())
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "guard_rows") => {
                read("guard_rows", value, &mut stitched.guard.rows)
            }
            (Self::Stitched(stitched) | Self::Auto(stitched), "guard_tolerance") => {
                let number: f32 = value.parse().map_err(|_| refused("guard_tolerance", value, "a number"))?;
                stitched.guard.tolerance = number.into();
                Ok(())
            }
            (Self::Window { left, .. }, "left") => read_optional("left", value, left),
            (Self::Window { right, .. }, "right") => read_optional("right", value, right),
            (Self::Window { sinks, .. }, "sinks") => read("sinks", value, sinks),
            (method, _) => Err(refused("option", name, &format!("one that `{}` has: `{method}`", method.name()))),
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hamming => "hamming",
            Self::Metric => "metric",
        })
    }
}

/// Reads `hamming` or `metric`.
///
/// # Errors
/// [`Error::OutOfRange`] names what cannot be read.
impl FromStr for Space {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let spaces = [Self::Hamming, Self::Metric];
        let found = spaces.into_iter().find(|space| space.to_string() == text);
        found.ok_or_else(|| refused("space", text, "hamming or metric"))
    }
}

impl fmt::Display for GuardAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Recompute => "recompute",
        })
    }
}

/// Reads `off`, `report` or `recompute`.
///
/// # Errors
/// [`Error::OutOfRange`] names what cannot be read.
impl FromStr for GuardAction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let actions = [Self::Off, Self::Report, Self::Recompute];
        let found = actions.into_iter().find(|action| action.to_string() == text);
        found.ok_or_else(|| refused("guard", text, "off, report or recompute"))
    }
}

fn refused(argument: &'static str, value: &str, allowed: &str) -> Error {
    Error::OutOfRange { argument, value: format!("`{value}`"), allowed: allowed.into() }
}

fn read<T: FromStr>(argument: &'static str, value: &str, place: &mut T) -> Result<()> {
    let allowed = if size_of::<T>() == 1 { "true or false" } else { "a whole number" };
    *place = value.parse().map_err(|_| refused(argument, value, allowed))?;
    Ok(())
}

fn read_optional(argument: &'static str, value: &str, place: &mut Option<usize>) -> Result<()> {
    *place = match value {
        "none" => None,
        _ => Some(value.parse().map_err(|_| refused(argument, value, "a whole number or none"))?),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grid;

    #[test]
    fn every_option_survives_text() {
        let odd = |clustering: &mut Clustering| {
            *clustering = Clustering {
                clusters: 7,
                space: Space::Metric,
                bits: 9,
                iterations: 3,
                bias: !clustering.bias,
                center: !clustering.center,
                euclidean_steps: 5,
                samples: 77,
                seed: u64::MAX,
            };
        };
        let methods = [
            Method::Exact,
            Method::clustered(3).with_clustering(odd),
            Method::improved(100).with_clustering(odd).with_top_k(0),
            Method::stitched(25),
            Method::stitched(25).with_clustering(odd).with_window(None).with_top_k(4),
            Method::auto(12).with_window(Some(3)),
            Method::stitched(5).with_grid(Grid::new(74, 73).with_leading(1)),
            Method::auto(5).with_grid(Grid::new(1, 0).with_radii(3, 0)),
            Method::stitched(3).with_key_groups(KeyGroups::new(5).with_samples(6).with_rounds(0).with_spread(true)),
            Method::auto(3).with_key_groups(0),
            Method::stitched(3).with_guard(Guard::new().with_rows(5).with_tolerance(0.1)),
            Method::auto(3).with_guard(Guard::OFF.with_action(GuardAction::Report).with_tolerance(1e-7)),
            Method::sliding_window(5, 0).with_sinks(2),
            Method::Window { left: None, right: Some(7), sinks: 0 },
        ];
        for method in methods {
            assert_eq!(method.to_string().parse(), Ok(method), "{method}");
        }
        assert_eq!("stitched".parse(), Ok(Method::stitched(25)));
        assert_eq!(" stitched:100 ".parse(), Ok(Method::stitched(100)));
        assert_eq!("improved:50,top_k=8".parse(), Ok(Method::improved(50).with_top_k(8)));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, named) in [
            ("", "`method` is ``"),
            ("linear", "stitched"),
            ("exact:3", "`option` is `clusters`"),
            ("stitched:top_k=", "`top_k` is ``"),
            ("stitched:window=-1", "a whole number or none"),
            ("improved:window=3", "`option` is `window`"),
            ("stitched:radius=3", "`radius` is `3`; it must be behind a grid"),
            ("stitched:grid=3", "`grid` is `3`"),
            ("stitched:grid=3x4,radius=3x", "2x3"),
            ("clustered:bias=maybe", "true or false"),
            ("stitched:space=plain", "hamming or metric"),
            ("stitched:guard=maybe", "off, report or recompute"),
            ("stitched:guard_tolerance=little", "a number"),
            ("improved:guard=off", "`option` is `guard`"),
            ("stitched:clusters=25=3", "`clusters` is `25=3`"),
        ] {
            let error = text.parse::<Method>().expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
