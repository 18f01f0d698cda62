//! Methods as text: `stitched`, `stitched:100`, `stitched:clusters=25,top_k=32,window=none`.

use super::{Clustering, Method};
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
            let Clustering { clusters, bits, iterations, bias, center, euclidean_steps, seed } = *clustering;
            options.extend([("clusters", clusters.to_string()), ("bits", bits.to_string())]);
            options.extend([("iterations", iterations.to_string()), ("bias", bias.to_string())]);
            options.extend([("center", center.to_string()), ("euclidean_steps", euclidean_steps.to_string())]);
            options.push(("seed", seed.to_string()));
        }
        match *self {
            Self::Exact | Self::Clustered { .. } => {}
            Self::Improved { top_k, .. } => options.push(("top_k", top_k.to_string())),
            Self::Stitched { top_k, window, .. } | Self::Auto { top_k, window, .. } => {
                options.extend([("top_k", top_k.to_string()), ("window", optional(window))]);
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
            | Self::Stitched { clustering, .. }
            | Self::Auto { clustering, .. } => Some(clustering),
            Self::Exact | Self::Window { .. } => None,
        };
        if let Some(clustering) = clustering {
            match name {
                "clusters" => return read("clusters", value, &mut clustering.clusters),
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
            (Self::Improved { top_k, .. } | Self::Stitched { top_k, .. } | Self::Auto { top_k, .. }, "top_k") => {
                read("top_k", value, top_k)
            }
            (Self::Stitched { window, .. } | Self::Auto { window, .. }, "window") => {
                read_optional("window", value, window)
            }
            (Self::Window { left, .. }, "left") => read_optional("left", value, left),
            (Self::Window { right, .. }, "right") => read_optional("right", value, right),
            (Self::Window { sinks, .. }, "sinks") => read("sinks", value, sinks),
            (method, _) => Err(refused("option", name, &format!("one that `{}` has: `{method}`", method.name()))),
        }
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

    #[test]
    fn every_option_survives_text() {
        let odd = |clustering: &mut Clustering| {
            *clustering = Clustering {
                clusters: 7,
                bits: 9,
                iterations: 3,
                bias: !clustering.bias,
                center: !clustering.center,
                euclidean_steps: 5,
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
            ("clustered:bias=maybe", "true or false"),
            ("stitched:clusters=25=3", "`clusters` is `25=3`"),
        ] {
            let error = text.parse::<Method>().expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
