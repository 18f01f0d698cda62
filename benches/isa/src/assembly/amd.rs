//! AMD's assembly, as LLVM's disassembler prints what RADV's compiler ACO makes.
//!
//! ```text
//! BB65:
//!     v_dual_fmac_f32 v73, s78, v30 :: v_dual_fmac_f32 v74, s79, v31 ; c8003c4e 494a3e4f
//!     s_cbranch_scc0 BB65                                         ; bfa1ff0e
//! ```

use super::{begins, Kind, Line};

pub fn lines(text: &str) -> Vec<Line> {
    let (mut lines, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let line = line.split(';').next().unwrap_or_default().trim();
        if let Some(label) = line.strip_suffix(':') {
            labels.push(label.to_owned());
        } else if let Some(name) = line.split_whitespace().next() {
            let read = Line { labels: std::mem::take(&mut labels), ..instruction(name, line) };
            lines.push(read);
        }
    }
    lines
}

fn instruction(name: &str, line: &str) -> Line {
    let read = Line::new(kind(name));
    // Two operations in one slot.
    let second = line.split_once("::").map_or("", |(_, second)| second.trim());
    let multiply_adds = if begins(name, &["v_pk_fma", "v_dot2"]) { 2 } else { read.multiply_adds };
    let multiply_adds = multiply_adds + u32::from(kind(second) == Kind::MultiplyAdd);
    let kind = if multiply_adds > 0 { Kind::MultiplyAdd } else { read.kind };
    // Such an instruction is taken in beside those of other subgroups.
    let slots = u32::from(read.kind != Kind::Wait);
    let target = || line.split_whitespace().find(|word| word.starts_with("BB")).map(str::to_owned);
    let read = Line { multiply_adds, kind, slots, ..read };
    match name {
        "s_branch" => read.jumping(target(), false),
        "s_endpgm" | "s_setpc_b64" => read.jumping(None, false),
        _ if name.starts_with("s_cbranch") => read.jumping(target(), true),
        _ => read,
    }
}

fn kind(name: &str) -> Kind {
    // A dual operation is named as the single one.
    let name = name.replacen("v_dual_", "v_", 1);
    let name = name.as_str();
    if begins(name, &["v_wmma", "v_swmmac", "v_mfma"]) {
        Kind::Matrix
    } else if begins(
        name,
        &["v_fma", "v_fmac", "v_fmaak", "v_fmamk", "v_mac_f", "v_mad_f", "v_mad_legacy", "v_pk_fma", "v_dot2"],
    ) {
        Kind::MultiplyAdd
    } else if begins(name, &["s_load", "s_buffer_load"]) {
        Kind::Load
    } else if begins(
        name,
        &[
            "s_wait",
            "s_delay",
            "s_nop",
            "s_clause",
            "s_barrier",
            "s_inst_prefetch",
            "s_set_inst",
            "s_sleep",
            "s_sendmsg",
        ],
    ) {
        Kind::Wait
    } else if begins(name, &["s_branch", "s_cbranch", "s_endpgm", "s_setpc"]) {
        Kind::Control
    } else if name.starts_with("s_") {
        Kind::Scalar
    } else if name.starts_with("ds_") {
        Kind::Workgroup
    } else if name.starts_with("scratch_") {
        Kind::Spill
    } else if begins(name, &["buffer_", "global_", "flat_"]) {
        if name.contains("store") {
            Kind::Store
        } else {
            Kind::Load
        }
    } else if begins(name, &["v_mov", "v_swap", "v_readlane", "v_writelane", "v_readfirstlane", "v_accvgpr", "v_perm"])
    {
        Kind::Move
    } else if name.starts_with("v_") && ["_f32", "_f16", "_f64"].iter().any(|kind| name.contains(kind)) {
        Kind::Float
    } else if name.starts_with("v_") {
        Kind::Integer
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dual_operations_take_one_slot() {
        let text = "BB65:\n\tv_dual_fmac_f32 v73, s78, v30 :: v_dual_fmac_f32 v74, s79, v31 ; c8003c4e\n\
                    \tv_dual_mul_f32 v1, s2, v3 :: v_dual_fmac_f32 v74, s79, v31 ; c8003c4e\n\tds_load_b32 v2, v2   ; d8d80000\n\
                    \ts_delay_alu instid0(VALU_DEP_1) | instskip(SKIP_3) ; bf8704c1\n\ts_cbranch_scc0 BB65  ; bfa1ff0e\n";
        let lines = lines(text);
        let kinds: Vec<Kind> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [Kind::MultiplyAdd, Kind::MultiplyAdd, Kind::Workgroup, Kind::Wait, Kind::Control]);
        assert_eq!([lines[0].multiply_adds, lines[1].multiply_adds, lines[0].slots], [2, 1, 1]);
        assert_eq!(lines[3].slots, 0);
        assert_eq!((&lines[0].labels[0], lines[4].target.as_deref()), (&"BB65".to_owned(), Some("BB65")));
    }
}
