//! Random numbers and noise from a seed, in whole numbers only: the same on every machine and in every build.
//!
//! Fixed point with 16 fractional bits throughout; [`ONE`] is 1.0. No floating point, no state.

/// 1.0 in fixed point.
pub(crate) const ONE: i64 = 1 << 16;

/// 64 well-mixed bits for a place: the finalizer of SplitMix64 (Steele, Lea, Flood 2014), once per input.
pub(crate) fn hash(seed: u64, salt: u64, x: i32, y: i32) -> u64 {
    let h = mix(seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let h = mix(h ^ u64::from(x as u32));
    mix(h ^ u64::from(y as u32) << 32)
}

fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 16 directions, scaled by 256.
const GRADIENTS: [(i64, i64); 16] = [
    (256, 0),
    (237, 98),
    (181, 181),
    (98, 237),
    (0, 256),
    (-98, 237),
    (-181, 181),
    (-237, 98),
    (-256, 0),
    (-237, -98),
    (-181, -181),
    (-98, -237),
    (0, -256),
    (98, -237),
    (181, -181),
    (237, -98),
];

/// Gradient noise (Perlin 2002) with waves of `wave_mm`: about -1.0 to 1.0, 0 on average.
pub(crate) fn perlin(seed: u64, x_mm: i32, y_mm: i32, wave_mm: i32) -> i64 {
    let cell = |v: i32| (v.div_euclid(wave_mm), i64::from(v.rem_euclid(wave_mm)) * ONE / i64::from(wave_mm));
    let ((ix, fx), (iy, fy)) = (cell(x_mm), cell(y_mm));
    let corner = |dx: i32, dy: i32| {
        let (gx, gy) = GRADIENTS[(hash(seed, 0, ix + dx, iy + dy) >> 60) as usize];
        (gx * (fx - i64::from(dx) * ONE) + gy * (fy - i64::from(dy) * ONE)) >> 8
    };
    let (sx, sy) = (fade(fx), fade(fy));
    let top = lerp(corner(0, 0), corner(1, 0), sx);
    let bottom = lerp(corner(0, 1), corner(1, 1), sx);
    // The sum of 2D gradient noise stays within 0.71: stretch it to about 1.
    lerp(top, bottom, sy) * 3 / 2
}

/// `octaves` layers of [`perlin`], each half as long and half as strong as the one before: about -1.0 to 1.0.
pub(crate) fn layers(seed: u64, x_mm: i32, y_mm: i32, wave_mm: i32, octaves: u32) -> i64 {
    let (mut sum, mut weight) = (0, 0);
    for octave in 0..octaves {
        let layer = perlin(seed.wrapping_add(u64::from(octave) << 40), x_mm, y_mm, wave_mm >> octave);
        sum += layer >> octave;
        weight += ONE >> octave;
    }
    if weight == 0 { 0 } else { sum * ONE / weight }
}

/// From 0.0 to 1.0 while `value` goes from `low` to `high`, smooth at both ends.
pub(crate) fn smooth(value: i64, low: i64, high: i64) -> i64 {
    fade(((value - low) * ONE / (high - low)).clamp(0, ONE))
}

fn fade(t: i64) -> i64 {
    let cubed = (((t * t) >> 16) * t) >> 16;
    let inner = ((t * (6 * t - 15 * ONE)) >> 16) + 10 * ONE;
    (cubed * inner) >> 16
}

fn lerp(a: i64, b: i64, t: i64) -> i64 {
    a + (((b - a) * t) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_bounded_smooth_and_centred() {
        let mut sum = 0;
        for i in 0..4_000 {
            let (x, y) = (i * 731 - 1_000_000, i * 397);
            let v = layers(7, x, y, 200_000, 4);
            assert!(v.abs() < ONE * 5 / 4, "{v} at {x} {y}");
            assert!((v - layers(7, x + 100, y, 200_000, 4)).abs() < ONE / 50, "a jump at {x} {y}");
            sum += v;
        }
        assert!((sum / 4_000).abs() < ONE / 5);
    }

    #[test]
    fn smooth_meets_its_ends() {
        assert_eq!((smooth(3, 3, 9), smooth(-5, 3, 9)), (0, 0));
        assert_eq!((smooth(9, 3, 9), smooth(100, 3, 9)), (ONE, ONE));
        assert_eq!(smooth(6, 3, 9), ONE / 2);
    }
}
