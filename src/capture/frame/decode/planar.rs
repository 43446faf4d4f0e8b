//! 4:2:0 formats: a plane of luma, and chroma at half the size in both directions.

use super::Layout;
use super::pixels::{chroma, pixel};

/// Luma, then U and V interleaved with the same stride.
pub(super) fn nv12(layout: &Layout, bytes: &[u8], rgb: &mut [u8]) {
    let (luma, chroma_plane) = bytes.split_at(layout.stride * layout.height);
    let used = layout.width.div_ceil(2) * 2;
    let mut rows = layout.rows(luma, rgb);
    for line in chroma_plane.chunks(layout.stride).take(layout.height.div_ceil(2)) {
        let (pairs, _) = line[..used].as_chunks::<2>();
        for (y, out) in rows.by_ref().take(2) {
            row(y, pairs.iter().copied(), out);
        }
    }
}

/// Luma, then U, then V, each with half the luma's stride.
pub(super) fn yu12(layout: &Layout, bytes: &[u8], rgb: &mut [u8]) {
    let (luma, chroma_planes) = bytes.split_at(layout.stride * layout.height);
    let (stride, used) = (layout.stride.div_ceil(2), layout.width.div_ceil(2));
    let (u_plane, v_plane) = chroma_planes.split_at(stride * layout.height.div_ceil(2));
    let mut rows = layout.rows(luma, rgb);
    for (u, v) in u_plane.chunks(stride).zip(v_plane.chunks(stride)) {
        for (y, out) in rows.by_ref().take(2) {
            row(y, u[..used].iter().zip(&v[..used]).map(|(&u, &v)| [u, v]), out);
        }
    }
}

/// One row of pixels from its luma and the chroma that every two pixels share.
#[inline(always)]
fn row(luma: &[u8], chroma_pairs: impl Iterator<Item = [u8; 2]> + Clone, out: &mut [u8]) {
    let (luma_pairs, luma_odd) = luma.as_chunks::<2>();
    let (out_pairs, out_odd) = out.as_chunks_mut::<6>();
    for ((&[y0, y1], pair), [u, v]) in luma_pairs.iter().zip(out_pairs).zip(chroma_pairs.clone()) {
        let shared = chroma(u, v);
        let ([r0, g0, b0], [r1, g1, b1]) = (pixel(y0, shared), pixel(y1, shared));
        *pair = [r0, g0, b0, r1, g1, b1];
    }
    if let &[y] = luma_odd {
        let [u, v] = chroma_pairs.last().expect("chroma reaches as far as luma");
        out_odd.copy_from_slice(&pixel(y, chroma(u, v)));
    }
}
