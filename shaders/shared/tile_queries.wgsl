// What a tile's queries are where they are those of the tensors.
#import params

fn query_place(row: u32) -> u32 {
    return at_queries(row);
}

fn load_query(own: u32, place: u32, column: u32) -> vec4f {
    return load_at_queries(place, column);
}

fn score_scale() -> f32 {
    return params.sizes.scale;
}
