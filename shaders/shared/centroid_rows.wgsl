// Centroids in the place of a tile's keys, counted from the first of a slice, or of its key groups. Products with them are not scaled.
#import products
#import centroids

// Kernels set it: the row of the first.
var<private> first_centroid: u32;

fn key_place(index: u32) -> u32 {
    return first_centroid + index * CENTROID_ROW;
}

fn load_key(place: u32, column: u32) -> vec4f {
    return centroids[place + min(column, WIDTH_VECTORS - 1u)];
}

fn score_scale() -> f32 {
    return 1.0;
}
