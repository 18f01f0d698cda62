//! Apple's assembly, as Mesa's disassembler prints it, among intermediate representations.
//!
//! ```text
//!    50: 3a955022254a0200       ffma     r5, r8, r9, r5
//!    98: 00c08effffff           jmp_any  -114
//! ```

use super::{begins, Kind, Line};

pub fn lines(text: &str) -> Vec<Line> {
    let read: Vec<(i64, Line)> = text.lines().filter_map(instruction).collect();
    // A preamble, which runs once, begins at address 0 again.
    let end = read.windows(2).position(|pair| pair[1].0 <= pair[0].0).map_or(read.len(), |last| last + 1);
    read.into_iter().take(end).map(|(_, line)| line).collect()
}

fn instruction(line: &str) -> Option<(i64, Line)> {
    let (address, rest) = line.trim_start().split_once(": ")?;
    let address = i64::from_str_radix(address, 16).ok()?;
    let mut words = rest.split_whitespace();
    let code = words.next()?;
    if code.len() < 4 || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let name = words.next()?;
    let read = Line { labels: vec![address.to_string()], ..Line::new(kind(name)) };
    let target = || Some((address + words.clone().next_back()?.parse::<i64>().ok()?).to_string());
    let read = match name {
        "jmp" => read.jumping(target(), false),
        "stop" | "ret" => read.jumping(None, false),
        _ if name.starts_with("jmp_") => read.jumping(target(), true),
        _ => read,
    };
    Some((address, read))
}

fn kind(name: &str) -> Kind {
    if begins(name, &["ffma", "fmadd"]) {
        Kind::MultiplyAdd
    } else if name.starts_with("simd_matrix") {
        Kind::Matrix
    } else if name.starts_with("stack_") {
        Kind::Spill
    } else if begins(name, &["lload", "lstore", "latomic"]) {
        Kind::Workgroup
    } else if begins(name, &["load", "atomic"]) {
        Kind::Load
    } else if name.starts_with("store") {
        Kind::Store
    } else if begins(name, &["wait", "barrier", "nop", "mem_fence"]) {
        Kind::Wait
    } else if begins(name, &["jmp", "if", "else", "while", "pop_exec", "push_exec", "stop", "ret", "call"]) {
        Kind::Control
    } else if begins(name, &["mov", "ldimm", "simd_shuffle"]) {
        Kind::Move
    } else if begins(
        name,
        &["fadd", "fmul", "fcmp", "rcp", "rsqrt", "exp2", "log2", "floor", "u32_to_f", "s32_to_f", "f_to", "fsel"],
    ) {
        Kind::Float
    } else if begins(
        name,
        &["i", "csel", "xor", "and", "or", "not", "shl", "shr", "asr", "sh", "bf", "popcnt", "extr", "ffs"],
    ) {
        Kind::Integer
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_relative_and_the_preamble_is_left_out() {
        let text = "block0 {\n   $r1 = get_sr #0x50\n}\n   0: f2051004               mov      $r1, thread_in_grid_x\n\
                    \x20  4: 3a955022254a0200       ffma     r5, r8, r9, r5\n   c: 00c08effffff           jmp_any  -8\n\
                    \x20 12: 8800                   stop\n   0: 0501500d00c87200       load     r0_r1_r2, du0, 5, lsl 2, i32, xyz, a\n";
        let lines = lines(text);
        let kinds: Vec<Kind> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [Kind::Move, Kind::MultiplyAdd, Kind::Control, Kind::Control]);
        assert_eq!((lines[2].target.as_deref(), lines[2].falls_through), (Some("4"), true));
        assert_eq!(lines[1].labels, ["4"]);
    }
}
