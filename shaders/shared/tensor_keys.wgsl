// Where keys and values of the tensors lie: kernels define `key_at`, the key at an index of what a tile attends to.
#import params

// First element of the slice's keys and values.
var<private> keys_origin: u32;
var<private> values_origin: u32;

fn begin_keys(slice: Slice) {
    keys_origin = row_of(params.sizes.key_layout, slice.batch, key_head(slice), 0u);
    values_origin = row_of(params.sizes.value_layout, slice.batch, key_head(slice), 0u);
}

fn tensor_key_place(index: u32) -> u32 {
    return keys_origin + key_at(index) * params.sizes.key_layout.row;
}

fn tensor_value_place(index: u32) -> u32 {
    return place_of_value(key_at(index));
}

// The same of a key, whether it is listed or not.
fn place_of_value(key: u32) -> u32 {
    return values_origin + key * params.sizes.value_layout.row;
}
