//! GPUs that there are compilers for.

use anyhow::{Context, Result};

/// A GPU as one of Mesa's drivers takes it to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The name on the command line and in files.
    pub name: &'static str,
    pub describe: &'static str,
    /// What its registers, and what its occupancy is counted in.
    pub units: &'static str,
    /// The kernel driver that is stood in for: `libNAME_noop_drm_shim.so`.
    pub shim: &'static str,
    /// The Vulkan driver: its manifest's name begins so.
    pub manifest: &'static str,
    /// Variables that choose the GPU.
    pub variables: &'static [(&'static str, &'static str)],
}

/// NVK asks to be trusted on GPUs that it knows too little of, as no kernel driver speaks for these here.
const TRUSTED: (&str, &str) = ("NVK_I_WANT_A_BROKEN_VULKAN_DRIVER", "1");

impl Target {
    pub const ALL: [Self; 6] = [
        Self {
            name: "ada",
            describe: "NVIDIA Ada (RTX 4090), by NVK",
            units: "registers of a thread (255 at most), warps of a multiprocessor",
            shim: "nouveau",
            manifest: "nouveau_icd",
            variables: &[("NOUVEAU_CHIPSET", "192"), TRUSTED],
        },
        Self {
            name: "turing",
            describe: "NVIDIA Turing (GTX 1650), by NVK",
            units: "registers of a thread (255 at most), warps of a multiprocessor",
            shim: "nouveau",
            manifest: "nouveau_icd",
            variables: &[("NOUVEAU_CHIPSET", "164"), TRUSTED],
        },
        Self {
            name: "navi21",
            describe: "AMD RDNA2 (RX 6800), by RADV",
            units: "vector registers of a lane (256 at most), subgroups of a SIMD",
            shim: "amdgpu",
            manifest: "radeon_icd",
            variables: &[("AMDGPU_GPU_ID", "navi21")],
        },
        Self {
            name: "navi31",
            describe: "AMD RDNA3 (RX 7900), by RADV",
            units: "vector registers of a lane (256 at most), subgroups of a SIMD",
            shim: "amdgpu",
            manifest: "radeon_icd",
            variables: &[("AMDGPU_GPU_ID", "navi31")],
        },
        Self {
            name: "m1",
            describe: "Apple M1, by Honeykrisp",
            units: "half registers of a lane (256 at most), lanes of a core",
            shim: "asahi",
            manifest: "asahi_icd",
            variables: &[],
        },
        Self {
            name: "a740",
            describe: "Adreno 740, by Turnip",
            units: "registers of four floats, subgroups of a core",
            shim: "freedreno",
            manifest: "freedreno_icd",
            variables: &[("FD_GPU_ID", "740")],
        },
    ];

    /// Targets of a list like `ada,m1`.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        let parse = |name: &str| {
            let target = Self::ALL.into_iter().find(|target| target.name == name);
            target.with_context(|| {
                let names = Self::ALL.map(|target| target.name).join(", ");
                format!("there is no target `{name}`; there are {names}")
            })
        };
        list.split(',').map(str::trim).map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_targets_are_read_by_name() {
        let names: Vec<&str> = Target::parse_list("m1, ada").unwrap().iter().map(|target| target.name).collect();
        assert_eq!(names, ["m1", "ada"]);
        assert!(Target::parse_list("m2").unwrap_err().to_string().contains("turing"));
    }
}
