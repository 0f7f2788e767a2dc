/// Keyframes with fewer frames between them are a sign that remembering is in vain.
let againWithin = 2

/// A camera stream that pays only for change.
///
/// Patches never read other patches, so a patch whose pixels did not change keeps its features and its keys and values
/// in every layer; only the changed ones and the cores are computed, and nothing at all if none changed. What goes
/// stale is that remembered rows were computed when the cores said something slightly different: a slow rotation
/// computes every patch again within a bounded number of frames.
///
/// One call at a time. Several streams may share a model.
public final class PatchStream {
    /// Pixels of the model's input, or nil for the model's own.
    public let imageSize: Int?
    /// What is remembered, or nil before the first frame.
    public private(set) var cache: PatchCache?
    /// The core budget; another one makes the next frame a keyframe.
    public private(set) var cores: Int

    private let model: Model
    private let engine: StepEngine
    private var detector: ChangeDetector
    private var centres: (grid: PatchGrid, positions: [Float])?
    private var state: (cores: Int, grid: PatchGrid)?
    private var embedding: [Float]?
    private var logits: [Float]?
    /// Outputs of the dense heads for all patches, by name.
    private var dense: [String: [Float]] = [:]
    /// Direction of the last keyframe's embedding.
    private var anchor: [Float]?
    private var drifted = false
    private var since = 0
    private var blind = false
    private var due = false
    private var remembers = true
    private var allowance: Allowance

    init(model: Model, engine: StepEngine, cores: Int, imageSize: Int?, settings: ChangeSettings) {
        self.model = model
        self.engine = engine
        self.cores = cores
        self.imageSize = imageSize
        detector = ChangeDetector(settings)
        allowance = Allowance(patches: 1, cores: cores)
    }

    /// What counts as change; can be set at any time, and what is remembered stays.
    public var change: ChangeSettings {
        get { detector.settings }
        set { detector.settings = newValue }
    }

    /// The camera's noise as estimated so far, standard deviation in grey levels.
    public var noise: Double { detector.noise }

    /// Another core budget; the next frame is a keyframe then.
    ///
    /// - Throws: `VecaError.notOffered`.
    public func use(cores: Int) throws {
        self.cores = try model.checked(cores: cores)
    }

    /// Forget everything: the next frame is a keyframe.
    public func reset() {
        state = nil
        cache = nil
        embedding = nil
        logits = nil
        dense = [:]
        anchor = nil
        drifted = false
        blind = false
        due = false
        remembers = true
        detector.reset()
    }

    /// The result for the next frame.
    ///
    /// A frame of another shape than the one before, or another core budget, is a keyframe. There is no clock: frames
    /// that are left out or come late are compared with what was last computed, like any other.
    ///
    /// - Throws: `VecaError`. After one of an image or a setting the stream goes on as if the frame had not come.
    public func update(_ frame: RGBImage) throws -> Result {
        let start = model.clock()
        let size = model.patchSize
        let fitted = try model.preprocessing.resize(frame, patchSize: size, imageSize: imageSize)
        let image = fitted.image
        let grid = PatchGrid(rows: image.height / size, columns: image.width / size)
        if state.map({ $0.cores != cores || $0.grid != grid }) ?? true {
            reset()
            allowance = Allowance(patches: grid.count, cores: cores)
        }
        let plan = self.plan(image, grid)
        if !plan.patches.isEmpty {
            try compute(image, plan, grid)
        }
        since = plan.keyframe ? 0 : since + 1
        if plan.keyframe {
            allowance.countFull(kept: remembers, looked: plan.looked, taken: due && !plan.looked)
        } else {
            due = allowance.countStep(plan.patches.count)
        }
        state = (cores, grid)
        guard let cache, let embedding else { throw VecaError.engine("the stream has computed nothing yet") }
        var computed = [Bool](repeating: false, count: grid.count)
        for patch in plan.patches {
            computed[patch] = true
        }
        return Result(
            embedding: embedding, features: cache.features, coreAttention: cache.coreAttention, logits: logits,
            labels: model.labels, cores: cores, grid: grid, width: image.width, height: image.height,
            crop: fitted.crop, latency: model.clock() - start, computed: computed, keyframe: plan.keyframe,
            oldest: plan.keyframe ? 0 : detector.age.max() ?? 0,
            dense: model.said(dense, grid, fitted.crop, computed: computed), certainty: model.certainty)
    }

    /// What to compute: all of it, without a look, while looking costs too much.
    ///
    /// The first look after that needs the frame before it, which costs something as well; then it is due, as it is
    /// after a keyframe that remembers, and after a step that cost less than a full frame.
    private func plan(_ image: RGBImage, _ grid: PatchGrid) -> ChangePlan {
        blind = !due && (blind || allowance.spent)
        due = blind && !allowance.spent
        if blind && !due {
            let all = Array(0..<grid.count)
            return ChangePlan(patches: all, keyframe: true, changed: grid.count, looked: false)
        }
        let compared = comparedPatches(image, model.patchSize)
        if blind {
            return detector.take(compared)
        }
        return detector.plan(
            compared, length: compared.count / grid.count, allOfThem: drifted || !remembers)
    }

    /// Whether all is computed, and the next frame will hardly want what this one could keep.
    private func forgets(_ plan: ChangePlan) -> Bool {
        if !plan.keyframe || !plan.looked { return plan.keyframe }
        let moves = Double(plan.changed) > change.keyframeShare * Double(plan.patches.count)
        let again = since < againWithin || allowance.spent
        return again && (moves || !allowance.pays(plan.changed))
    }

    /// Run the model on the planned patches and remember what it says.
    private func compute(_ image: RGBImage, _ plan: ChangePlan, _ grid: PatchGrid) throws {
        let new: [Float]
        do {
            if cache != nil && forgets(plan) {
                new = try encode(image)
            } else {
                new = try step(image, plan, grid)
            }
        } catch {
            // The detector took these pixels as computed, and they were not.
            reset()
            throw error
        }
        embedding = new
        logits = model.logits(embedding: new, features: cache?.features ?? [])
        updateDense(cache?.features ?? [], plan)
        if remembers {
            followDrift(new, keyframe: plan.keyframe)
        } else {
            drifted = false
        }
    }

    /// Dense heads read single patches, so that only those of computed ones can change.
    private func updateDense(_ features: [Float], _ plan: ChangePlan) {
        if plan.keyframe || dense.isEmpty {
            dense = model.denseOutputs(features)
            return
        }
        for head in model.dense {
            head.update(&dense[head.task.name, default: []], features, patches: plan.patches)
        }
    }

    /// Notice when the cores say something else than when most patches were computed.
    private func followDrift(_ embedding: [Float], keyframe: Bool) {
        let length = max(embedding.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
        let direction = embedding.map { $0 / length }
        let anchor = keyframe ? direction : self.anchor ?? direction
        self.anchor = anchor
        let cosine = zip(direction, anchor).reduce(0) { $0 + $1.0 * $1.1 }
        drifted = Double(cosine) < change.drift
    }

    /// All patches, without their keys and values: in a pan the next frame will not want them.
    private func encode(_ image: RGBImage) throws -> [Float] {
        let encoded = try model.exclusively { try engine.encode(image, cores: cores) }
        guard let coreAttention = encoded.coreAttention else {
            throw VecaError.engine("\(engine.name) does not say what patches attend to, so it cannot stream")
        }
        cache?.write(features: encoded.features, coreAttention: coreAttention)
        remembers = false
        return encoded.embedding
    }

    private func step(_ image: RGBImage, _ plan: ChangePlan, _ grid: PatchGrid) throws -> [Float] {
        let positions = self.positions(grid)
        if plan.keyframe || cache == nil {
            let patches = cutPatches(image, patchSize: model.patchSize)
            let stepped = try model.exclusively {
                try engine.step(patches: patches, positions: positions, cores: cores, mask: nil, cache: nil)
            }
            cache = PatchCache(stepped, count: grid.count, heads: engine.heads)
            remembers = true
            due = true
            return stepped.embedding
        }
        var mask = [Float](repeating: 0, count: grid.count)
        for patch in plan.patches {
            mask[patch] = PatchCache.hide
        }
        let new = cutSome(image, model.patchSize, plan.patches)
        let places = plan.patches.flatMap { [positions[2 * $0], positions[2 * $0 + 1]] }
        let stepped = try model.exclusively {
            try engine.step(patches: new, positions: places, cores: cores, mask: mask, cache: cache)
        }
        cache?.write(plan.patches, stepped)
        return stepped.embedding
    }

    /// Centres of the grid's cells, made once per grid.
    private func positions(_ grid: PatchGrid) -> [Float] {
        if let centres, centres.grid == grid { return centres.positions }
        let made = cellCentres(grid)
        centres = (grid, made)
        return made
    }
}
