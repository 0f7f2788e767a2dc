/// The estimate is a low quantile over patches, so that moving ones do not count, corrected for being low.
let noiseQuantile = 0.25
/// Estimates over which the noise is averaged. So many frames in a row are looked at first, then one in so many: noise
/// changes with the light, which is slow.
let noiseMemory = 8
/// Noise is rough: what differs smoothly from pixel to pixel is motion. Resizing smooths noise too, but by less than
/// this factor in standard deviation.
let roughness: Float = 2.5
/// So many patches are enough for the noise.
let noiseSample = 16

/// Estimates the camera's noise from one frame to the next: the even change of a patch (a fade, a flicker) is no noise.
struct NoiseFollower {
    /// Standard deviation in grey levels.
    private(set) var noise = 0.0
    private var last: [Float] = []
    private var frames = 0

    /// The first frame of N patches of `length` values.
    mutating func start(_ patches: [UInt8], _ length: Int) {
        last = sampled(patches, length)
    }

    /// The next frame.
    mutating func follow(_ patches: [UInt8], _ length: Int) {
        frames += 1
        let turn = frames % noiseMemory
        if frames > noiseMemory && turn > 1 { return }
        let sample = sampled(patches, length)
        let difference = zip(sample, last).map { $0 - $1 }
        last = sample
        // Only what the next frame is compared with.
        if frames > noiseMemory && turn == 0 { return }
        let estimates = stride(from: 0, to: difference.count, by: length).map { start in
            estimate(Array(difference[start..<(start + length)]))
        }
        let sigma = (interpolated(estimates, noiseQuantile) / 2).squareRoot()
        // At once up from nothing, slowly afterwards.
        noise += (noise == 0 ? 1 : 1 / Double(noiseMemory)) * (sigma - noise)
    }
}

/// Variance of a patch's difference to the frame before, as far as it is rough.
private func estimate(_ difference: [Float]) -> Double {
    let mean = difference.reduce(0, +) / Float(difference.count)
    let centred = difference.map { $0 - mean }
    let variance = centred.reduce(0) { $0 + $1 * $1 } / Float(centred.count)
    return Double(min(variance, roughness * roughness * roughVariance(centred)))
}

/// Some patches, evenly spread.
private func sampled(_ patches: [UInt8], _ length: Int) -> [Float] {
    let count = patches.count / length
    let every = max(1, count / noiseSample)
    return stride(from: 0, to: count, by: every).flatMap { patch in
        patches[(patch * length)..<((patch + 1) * length)].map(Float.init)
    }
}

/// Variance of white noise as rough as this patch.
///
/// From second differences along both axes, which leave little of a picture (Immerkaer, Computer Vision and Image
/// Understanding 64(2), 1996); 36 is the sum of their squared weights.
private func roughVariance(_ patch: [Float]) -> Float {
    let side = Int(Double(patch.count / 3).squareRoot())
    if side < 3 { return .infinity }
    let row = side * 3
    var sum: Float = 0
    for y in 1..<(side - 1) {
        for x in 3..<(row - 3) {
            let along = { (y: Int) -> Float in
                let place = y * row + x
                return patch[place - 3] - 2 * patch[place] + patch[place + 3]
            }
            let both = along(y - 1) - 2 * along(y) + along(y + 1)
            sum += both * both
        }
    }
    return sum / Float((side - 2) * (side - 2) * 3) / 36
}
