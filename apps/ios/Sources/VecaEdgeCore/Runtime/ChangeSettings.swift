/// What counts as change, and how much may be computed for it.
public struct ChangeSettings: Equatable, Sendable {
    /// Root mean square change of a patch's pixels, in grey levels (0..255) beyond the sensor's noise, above which it
    /// is computed again. Smaller follows fainter changes and computes more.
    public let sensitivity: Double
    /// Frames that faint changes (all below twice the sensitivity) may wait so that one step computes several of them.
    public let patience: Int
    /// Most patches computed per frame (keyframes apart), 2 or more, or nil for no limit.
    public let patchBudget: Int?
    /// Every patch is computed about once in so many frames, changed or not.
    public let refreshFrames: Int
    /// If more than this share of the patches changed, all are computed.
    public let keyframeShare: Double
    /// If the embedding's cosine to the last keyframe's falls below this, the next frame is a keyframe: the cores have
    /// moved on, and remembered patches were computed under the old ones. -1 switches it off.
    public let drift: Double

    /// The defaults.
    public static let standard = ChangeSettings(
        checkedSensitivity: 4.5, patience: 3, patchBudget: nil, refreshFrames: 64, keyframeShare: 0.6, drift: 0.95)

    /// - Throws: `VecaError.badSetting` for a value out of range.
    public init(
        sensitivity: Double = 4.5, patience: Int = 3, patchBudget: Int? = nil, refreshFrames: Int = 64,
        keyframeShare: Double = 0.6, drift: Double = 0.95
    ) throws {
        guard (0.01...255).contains(sensitivity) else {
            throw VecaError.badSetting("sensitivity \(sensitivity): use grey levels from 0.01 to 255")
        }
        guard patience >= 0 else {
            throw VecaError.badSetting("patience of \(patience) frames: use 0 or more")
        }
        if let patchBudget, patchBudget < 2 {
            throw VecaError.badSetting(
                "patch budget \(patchBudget): use 2 or more, one for change and one to refresh")
        }
        guard refreshFrames >= 1 else {
            throw VecaError.badSetting("refresh after \(refreshFrames) frames: use 1 or more")
        }
        guard keyframeShare > 0, keyframeShare <= 1 else {
            throw VecaError.badSetting("keyframe share \(keyframeShare): use a fraction above 0, up to 1")
        }
        guard drift >= -1, drift < 1 else {
            throw VecaError.badSetting("drift \(drift): use a cosine from -1 up to, but not, 1")
        }
        self.init(
            checkedSensitivity: sensitivity, patience: patience, patchBudget: patchBudget,
            refreshFrames: refreshFrames, keyframeShare: keyframeShare, drift: drift)
    }

    private init(
        checkedSensitivity sensitivity: Double, patience: Int, patchBudget: Int?, refreshFrames: Int,
        keyframeShare: Double, drift: Double
    ) {
        self.sensitivity = sensitivity
        self.patience = patience
        self.patchBudget = patchBudget
        self.refreshFrames = refreshFrames
        self.keyframeShare = keyframeShare
        self.drift = drift
    }

    /// The same with another patch budget.
    ///
    /// - Throws: `VecaError.badSetting` for a budget below 2.
    public func with(patchBudget: Int?) throws -> ChangeSettings {
        try ChangeSettings(
            sensitivity: sensitivity, patience: patience, patchBudget: patchBudget, refreshFrames: refreshFrames,
            keyframeShare: keyframeShare, drift: drift)
    }
}
