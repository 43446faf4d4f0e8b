//! The fixed anchors of a single-shot detector, by the rules `MediaPipe` publishes for `BlazeFace`.
//!
//! Layers of equal stride share one grid of cells; each cell carries `anchors_per_layer` anchors for every layer that
//! shares it. Anchors have a centre only: `BlazeFace` regresses boxes relative to the whole input, not to anchor sizes
//! (`fixed_anchor_size: true`).

use emotiond_core::geometry::Point;

/// Centres of all anchors in the order of the output tensors, as fractions of the input's width and height.
#[must_use]
pub fn anchors(width: u32, height: u32, strides: &[u32], anchors_per_layer: usize) -> Vec<Point> {
    let mut anchors = Vec::new();
    for layers in strides.chunk_by(|a, b| a == b) {
        let (columns, rows) = (width.div_ceil(layers[0]), height.div_ceil(layers[0]));
        for row in 0..rows {
            for column in 0..columns {
                let center =
                    Point { x: (column as f32 + 0.5) / columns as f32, y: (row as f32 + 0.5) / rows as f32 };
                anchors.extend(std::iter::repeat_n(center, layers.len() * anchors_per_layer));
            }
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_published_models() {
        assert_eq!(anchors(128, 128, &[8, 16, 16, 16], 2).len(), 896);
        assert_eq!(anchors(256, 256, &[16, 32, 32, 32], 2).len(), 896);
        assert_eq!(anchors(192, 192, &[4], 1).len(), 2304);
    }

    #[test]
    fn layers_of_one_stride_share_their_cells() {
        let anchors = anchors(128, 128, &[8, 16, 16, 16], 2);
        // 16 × 16 cells of two anchors, then 8 × 8 cells of six.
        assert_eq!((anchors[0], anchors[1]), (Point { x: 0.03125, y: 0.03125 }, anchors[0]));
        assert_eq!(anchors[2], Point { x: 0.09375, y: 0.03125 });
        assert!(anchors[512..518].iter().all(|a| *a == Point { x: 0.0625, y: 0.0625 }));
        assert_eq!(anchors[518], Point { x: 0.1875, y: 0.0625 });
        assert_eq!(anchors[895], Point { x: 0.9375, y: 0.9375 });
    }
}
