//! Adreno's assembly, as Turnip's compiler ir3 prints it.
//!
//! ```text
//! l673:
//! (ss)(nop2) mad.f32 r2.y, r3.z, r2.y, (last)r3.w
//! (rpt3)nop
//! (ss)br p0.x, #l806
//! ```

use super::{begins, Kind, Line};

pub fn lines(text: &str) -> Vec<Line> {
    let (mut lines, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_suffix(':').filter(|label| !label.contains(' ')) {
            labels.push(label.to_owned());
        } else if !line.is_empty() && !begins(line, &[";", "@", "Native"]) {
            lines.extend(instruction(line).map(|read| Line { labels: std::mem::take(&mut labels), ..read }));
        }
    }
    lines
}

fn instruction(line: &str) -> Option<Line> {
    let (mut rest, mut repeated, mut waits) = (line, 0, 0);
    while let Some((flag, behind)) = rest.strip_prefix('(').and_then(|inside| inside.split_once(')')) {
        let number = |name: &str| flag.strip_prefix(name).and_then(|number| number.parse::<u32>().ok());
        repeated = number("rpt").unwrap_or(repeated);
        waits = number("nop").unwrap_or(waits);
        rest = behind.trim_start();
    }
    let name = rest.split_whitespace().next()?;
    let read = Line::new(kind(name));
    // Each repetition, and each wait behind it, takes a slot.
    let read = Line { slots: 1 + repeated + waits, multiply_adds: read.multiply_adds * (1 + repeated), ..read };
    let target = || rest.split('#').nth(1).filter(|label| label.starts_with('l')).map(str::to_owned);
    Some(match name {
        "jump" => read.jumping(target(), false),
        "end" | "ret" => read.jumping(None, false),
        _ if read.kind == Kind::Control => read.jumping(target(), true),
        _ => read,
    })
}

fn kind(name: &str) -> Kind {
    let is_float = [".f32", ".f16", ".f"].iter().any(|ending| name.ends_with(ending));
    match name.split('.').next().unwrap_or_default() {
        "mad" if is_float => Kind::MultiplyAdd,
        "isam" | "ldib" | "ldg" | "ldc" | "resinfo" | "atomic" => Kind::Load,
        "stib" | "stg" => Kind::Store,
        "ldl" | "stl" | "ldlw" | "stlw" => Kind::Workgroup,
        "ldp" | "stp" => Kind::Spill,
        "stc" | "mova1" | "mova" => Kind::Scalar,
        "nop" | "bar" | "fence" => Kind::Wait,
        "br" | "brao" | "braa" | "brac" | "bany" | "ball" | "jump" | "end" | "ret" | "getone" | "getlast" | "shps"
        | "shpe" | "predt" | "predf" | "prede" => Kind::Control,
        "mov" | "cov" | "swz" | "shfl" => Kind::Move,
        "rcp" | "rsq" | "exp2" | "log2" | "sqrt" => Kind::Float,
        _ if is_float => Kind::Float,
        "add" | "sub" | "mul" | "mull" | "mad" | "madsh" | "sad" | "shl" | "shr" | "ashr" | "and" | "or" | "xor"
        | "not" | "min" | "max" | "cmps" | "sel" | "absneg" | "shlg" | "shrm" | "shlm" | "andg" | "cbits" | "clz"
        | "bfrev" | "mgen" | "getbit" => Kind::Integer,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_and_waits_take_slots() {
        let text = "; num_ubos:           0\nl673:\n(ss)(nop2) mad.f32 r2.y, r3.z, r2.y, (last)r3.w\n(rpt3)mad.f32 r5.x, r5.y, r53.x, r5.x\n\
                    (rpt4)nop\n(ss)br p0.x, #l673\nend\n";
        let lines = lines(text);
        let slots: Vec<(u32, u32)> = lines.iter().map(|line| (line.slots, line.multiply_adds)).collect();
        assert_eq!(slots, [(3, 1), (4, 4), (5, 0), (1, 0), (1, 0)]);
        assert_eq!(
            (lines[3].target.as_deref(), lines[3].falls_through, lines[4].falls_through),
            (Some("l673"), true, false)
        );
        assert_eq!(lines[0].labels, ["l673"]);
    }
}
