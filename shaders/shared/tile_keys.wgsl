// What a tile attends to where that is keys of the tensors, by their numbers: kernels define `key_at`, the key at an index.
#import params

// First element of the slice's keys and values.
var<private> keys_origin: u32;
var<private> values_origin: u32;

fn begin_keys(slice: Slice) {
    keys_origin = row_of(params.sizes.key_layout, slice.batch, key_head(slice), 0u);
    values_origin = row_of(params.sizes.value_layout, slice.batch, key_head(slice), 0u);
}

fn key_place(index: u32) -> u32 {
    return keys_origin + key_at(index) * params.sizes.key_layout.row;
}

fn load_key(place: u32, column: u32) -> vec4f {
    return load_keys(place, column);
}

fn value_place(index: u32) -> u32 {
    return values_origin + key_at(index) * params.sizes.value_layout.row;
}

fn load_value(place: u32, column: u32) -> vec4f {
    return load_values(place, column);
}
