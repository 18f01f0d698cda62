// What a tile attends to where that is keys of the tensors and nothing else.
#import tensor_keys

fn key_place(index: u32) -> u32 {
    return tensor_key_place(index);
}

fn load_key(place: u32, column: u32) -> vec4f {
    return load_keys(place, column);
}

fn value_place(index: u32) -> u32 {
    return tensor_value_place(index);
}

fn load_value(place: u32, column: u32) -> vec4f {
    return load_values(place, column);
}
