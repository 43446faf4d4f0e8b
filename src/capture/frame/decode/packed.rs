//! Formats with all samples of a pixel side by side.

use super::Layout;
use super::pixels::{chroma, pixel};

pub(super) fn yuyv(layout: &Layout, bytes: &[u8], rgb: &mut [u8]) {
    packed_422(layout, bytes, rgb, |[y0, u, y1, v]| [y0, y1, u, v]);
}

pub(super) fn uyvy(layout: &Layout, bytes: &[u8], rgb: &mut [u8]) {
    packed_422(layout, bytes, rgb, |[u, y0, v, y1]| [y0, y1, u, v]);
}

/// Two pixels in four bytes; `order` brings these to Y0, Y1, U, V.
#[inline(always)]
fn packed_422(layout: &Layout, bytes: &[u8], rgb: &mut [u8], order: impl Fn([u8; 4]) -> [u8; 4]) {
    for (line, out) in layout.rows(bytes, rgb) {
        let (quads, _) = line.as_chunks::<4>();
        let (pairs, odd) = out.as_chunks_mut::<6>();
        for (&quad, pair) in quads.iter().zip(pairs) {
            let [y0, y1, u, v] = order(quad);
            let shared = chroma(u, v);
            let ([r0, g0, b0], [r1, g1, b1]) = (pixel(y0, shared), pixel(y1, shared));
            *pair = [r0, g0, b0, r1, g1, b1];
        }
        if let (Some(&quad), false) = (quads.last(), odd.is_empty()) {
            let [y0, _, u, v] = order(quad);
            odd.copy_from_slice(&pixel(y0, chroma(u, v)));
        }
    }
}

pub(super) fn grey(layout: &Layout, bytes: &[u8], rgb: &mut [u8]) {
    for (line, out) in layout.rows(bytes, rgb) {
        let (pixels, _) = out.as_chunks_mut::<3>();
        for (&y, pixel) in line.iter().zip(pixels) {
            *pixel = [y; 3];
        }
    }
}

pub(super) fn rgb(layout: &Layout, bytes: &[u8], rgb: &mut [u8]) {
    for (line, out) in layout.rows(bytes, rgb) {
        out.copy_from_slice(line);
    }
}
