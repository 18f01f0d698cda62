// A copy, one vector an invocation.

@group(0) @binding(0) var<storage> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4f>;

@compute @workgroup_size(64)
fn copy(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) index: u32) {
    let at = (group.y * groups.x + group.x) * 64u + index;
    if (at < arrayLength(&copied)) {
        copied[at] = source[at];
    }
}
