//! NVIDIA's assembly, as NVK's compiler NAK prints it.
//!
//! ```text
//! block 11 L16 [10] -> {
//!       r76       = ffma.ftz r7 r140 r76     // delay=1 wt=000100
//! @!p0              bra pT L17               // delay=1
//! } -> [12, 13]
//! ```

use super::{begins, Kind, Line};

pub fn lines(text: &str) -> Vec<Line> {
    let (mut lines, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if line.starts_with("block") {
            labels.extend(line.split_whitespace().find(|word| is_label(word)).map(str::to_owned));
        } else if !line.is_empty() && !line.starts_with('}') {
            lines.extend(instruction(line).map(|read| Line { labels: std::mem::take(&mut labels), ..read }));
        }
    }
    lines
}

fn is_label(word: &str) -> bool {
    word.strip_prefix('L').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn instruction(line: &str) -> Option<Line> {
    let (predicate, line) = match line.strip_prefix('@') {
        Some(rest) => (true, rest.split_once(char::is_whitespace)?.1.trim()),
        None => (false, line),
    };
    let (results, operation) =
        line.split_once(" = ").map_or(("", line), |(results, operation)| (results.trim(), operation.trim()));
    let mut words = operation.split_whitespace();
    let name = words.next()?;
    let kind = kind(name, results);
    let read = Line::new(kind);
    let read = match name {
        "ffma2" | "hfma2" => Line { multiply_adds: 2, ..read },
        _ if name.starts_with("hfma2.") => Line { multiply_adds: 2, ..read },
        _ => read,
    };
    Some(match name.split('.').next()? {
        "bra" => {
            let always = !predicate && words.next() == Some("pT");
            let target = operation.split_whitespace().find(|word| is_label(word));
            read.jumping(target.map(str::to_owned), !always)
        }
        "exit" | "ret" => read.jumping(None, predicate),
        _ => read,
    })
}

fn kind(name: &str, results: &str) -> Kind {
    match name.split('.').next().unwrap_or_default() {
        "ffma" | "ffma2" | "hfma2" => Kind::MultiplyAdd,
        "hmma" | "imma" => Kind::Matrix,
        "ld" | "st" | "ldsm" | "atom" | "atoms" | "atomg" | "red" if name.contains(".shared") => Kind::Workgroup,
        "ldsm" => Kind::Workgroup,
        "ld" | "st" if name.contains(".local") => Kind::Spill,
        "ld" | "ldg" | "atom" => Kind::Load,
        "st" | "stg" | "red" => Kind::Store,
        "bra" | "bssy" | "bsync" | "bclear" | "bmov" | "break" | "exit" | "ret" | "warpsync" => Kind::Control,
        "nop" | "bar" | "membar" | "depbar" => Kind::Wait,
        "ldc" | "r2ur" | "s2r" | "s2ur" | "cs2r" | "vote" | "redux" => Kind::Scalar,
        // Results in uniform registers.
        _ if begins(results, &["ur", "up"]) => Kind::Scalar,
        "mov" | "copy" | "prmt" | "shfl" => Kind::Move,
        "fadd" | "fmul" | "fmnmx" | "fsetp" | "fset" | "fsel" | "fswz" | "mufu" | "hadd2" | "hmul2" | "frnd"
        | "f2f" | "i2f" | "f2i" | "hsetp2" | "hmnmx2" => Kind::Float,
        "iadd3" | "iadd2" | "imad" | "imad64" | "imul" | "lea" | "leax" | "isetp" | "imnmx" | "shf" | "lop3"
        | "lop2" | "sel" | "plop3" | "psetp" | "popc" | "flo" | "bfe" | "bfi" | "brev" | "iabs" | "shl" | "shr"
        | "bmsk" | "sgxt" | "p2r" | "r2p" | "vimnmx" => Kind::Integer,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_branches_and_kinds_are_read() {
        let text = "block.u 0 L2 [] -> {\n      ur0       = s2r sr[0x25]         // delay=1 wr:0\n                  bra pT L9     // delay=1\n\
                    } -> [1]\nblock 1 L9 [0, 1] -> {\n      r76       = ffma.ftz r7 r140 r76  // delay=1\n\
                    r12..16 = ld.shared.b128 [r8+0x10]\n@!p0              bra pT L9            // delay=1\n} -> [1, 2]\n";
        let lines = lines(text);
        let kinds: Vec<Kind> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [Kind::Scalar, Kind::Control, Kind::MultiplyAdd, Kind::Workgroup, Kind::Control]);
        assert_eq!((lines[1].target.as_deref(), lines[1].falls_through), (Some("L9"), false));
        assert_eq!((lines[4].target.as_deref(), lines[4].falls_through), (Some("L9"), true));
        assert_eq!(lines[2].labels, ["L9"]);
    }
}
