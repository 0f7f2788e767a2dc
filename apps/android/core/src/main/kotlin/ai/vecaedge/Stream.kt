package ai.vecaedge

import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.Allowance
import ai.vecaedge.runtime.ChangeDetector
import ai.vecaedge.runtime.ChangeSettings
import ai.vecaedge.runtime.HIDE
import ai.vecaedge.runtime.PatchCache
import ai.vecaedge.runtime.Plan
import ai.vecaedge.runtime.comparedPatches
import ai.vecaedge.runtime.cutPatches
import ai.vecaedge.runtime.cutSome
import kotlin.math.max
import kotlin.math.sqrt

/** Keyframes with fewer frames between them are a sign that remembering is in vain. */
private const val AGAIN = 2

/**
 * Frames of one camera or clip through one model, paying only for change.
 *
 * Patches never read other patches, so a patch whose pixels did not change keeps its features and its keys and
 * values in every layer; only the changed ones and the cores are computed, and nothing at all if none changed.
 * Several streams may share a model, one call at a time. Not thread-safe.
 *
 * @property imageSize pixels of the model's input, or null for the model's own.
 */
class Stream internal constructor(
    private val model: Model, cores: Int, val imageSize: Int?, settings: ChangeSettings,
) {
    private data class Setting(val cores: Int, val rows: Int, val columns: Int)

    private val detector = ChangeDetector(settings)
    private var setting: Setting? = null
    private var embedding: FloatArray? = null
    private var logits: FloatArray? = null
    private val dense = mutableMapOf<String, FloatArray>()
    private var anchor: FloatArray? = null
    private var drifted = false
    private var since = 0
    private var blind = false
    private var due = false
    private var remembers = true
    private var allowance = Allowance(1, cores)

    /** What is remembered, or null before the first frame. */
    var cache: PatchCache? = null
        private set

    /** The core budget; setting another one makes the next frame a keyframe. */
    var cores: Int = cores
        set(value) {
            field = model.checkBudget(value)
        }

    /** What counts as change; can be set at any time, and what is remembered stays. */
    var change: ChangeSettings by detector::settings

    /** The camera's noise as estimated so far, standard deviation in grey levels. */
    val noise: Double get() = detector.noise

    /** Forget everything: the next frame is a keyframe. */
    fun reset() {
        setting = null
        cache = null
        embedding = null
        logits = null
        dense.clear()
        anchor = null
        drifted = false
        blind = false
        due = false
        remembers = true
        detector.reset()
    }

    /**
     * The result for the next frame.
     *
     * A frame of another shape than the one before, or another core budget, is a keyframe. There is no clock: frames
     * that are left out or come late are compared with what was last computed, like any other. After a [VecaError]
     * the stream can go on.
     */
    fun update(frame: RgbImage): Result {
        val start = System.nanoTime()
        val size = model.patchSize
        val (image, crop) = model.preprocessing.resize(frame, size, imageSize)
        val next = Setting(cores, image.height / size, image.width / size)
        if (setting != next) {
            reset()
            allowance = Allowance(next.rows * next.columns, next.cores)
        }
        val plan = plan(image, next)
        if (plan.patches.isNotEmpty()) compute(image, plan, next)
        since = if (plan.keyframe) 0 else since + 1
        if (plan.keyframe) allowance.full(remembers, plan.looked, taken = due && !plan.looked)
        else due = allowance.step(plan.patches.size)
        setting = next
        val cache = checkNotNull(cache)
        val computed = BooleanArray(next.rows * next.columns)
        for (patch in plan.patches) computed[patch] = true
        return Result(
            checkNotNull(embedding).copyOf(),
            Grid(next.rows, next.columns, cache.features.copyOf()),
            Grid(next.rows, next.columns, cache.coreAttention.copyOf()),
            logits?.copyOf(),
            model.labels,
            cores,
            image.width,
            image.height,
            crop,
            secondsSince(start),
            computed,
            plan.keyframe,
            if (plan.keyframe) 0 else detector.age.max(),
            dense = model.tasks.associate {
                val outputs = dense.getValue(it.name)
                it.name to DenseResult.of(it, outputs, next.rows, next.columns, crop, computed)
            },
            certainty = model.certainty,
        )
    }

    /**
     * What to compute: all of it, without a look, while looking costs too much.
     *
     * The first look after that needs the frame before it, which costs something as well; then it is due, as it is
     * after a keyframe that remembers, and after a step that cost less than a full frame.
     */
    private fun plan(image: RgbImage, next: Setting): Plan {
        blind = !due && (blind || allowance.spent)
        due = blind && !allowance.spent
        if (blind && !due) {
            val count = next.rows * next.columns
            return Plan(IntArray(count) { it }, keyframe = true, changed = count, looked = false)
        }
        val seen = comparedPatches(image, model.patchSize)
        return if (blind) detector.take(seen) else detector.plan(seen, drifted || !remembers)
    }

    /** Whether all is computed, and the next frame will hardly want what this one could keep. */
    private fun forgets(plan: Plan): Boolean {
        if (!plan.keyframe || !plan.looked) return plan.keyframe
        val moves = plan.changed > change.keyframeShare * plan.patches.size
        val again = since < AGAIN || allowance.spent
        return again && (moves || !allowance.pays(plan.changed))
    }

    /** Run the model on the planned patches and remember what it says. */
    private fun compute(image: RgbImage, plan: Plan, next: Setting) {
        val known = cache
        val found = try {
            if (known != null && forgets(plan)) encode(image, known) else step(image, plan, next)
        } catch (error: Throwable) {
            // The detector took these pixels as computed, and they were not.
            reset()
            throw error
        }
        embedding = found
        logits = model.logits(found, checkNotNull(cache).features)
        updateDense(checkNotNull(cache).features, plan)
        if (remembers) followDrift(found, plan.keyframe) else drifted = false
    }

    /** Dense heads read single patches, so that only those of computed ones can change. */
    private fun updateDense(features: FloatArray, plan: Plan) {
        for (head in model.dense) {
            val known = dense[head.task.name]
            if (plan.keyframe || known == null) dense[head.task.name] = head.outputs(features)
            else head.update(known, features, plan.patches)
        }
    }

    /** Notice when the cores say something else than when most patches were computed. */
    private fun followDrift(embedding: FloatArray, keyframe: Boolean) {
        val norm = max(sqrt(embedding.sumOf { (it * it).toDouble() }), 1e-12).toFloat()
        val direction = FloatArray(embedding.size) { embedding[it] / norm }
        val anchor = if (keyframe) direction else this.anchor ?: direction
        this.anchor = anchor
        drifted = direction.indices.sumOf { (direction[it] * anchor[it]).toDouble() } < change.drift
    }

    /** All patches, without their keys and values: in a pan the next frame will not want them. */
    private fun encode(image: RgbImage, cache: PatchCache): FloatArray {
        val encoded = model.engine.encode(image, cores)
        cache.writeShown(encoded)
        remembers = false
        return encoded.embedding
    }

    private fun step(image: RgbImage, plan: Plan, next: Setting): FloatArray {
        val engine = model.engine
        val positions = engine.positions(next.rows, next.columns)
        val cache = cache
        if (plan.keyframe || cache == null) {
            val stepped = engine.step(cutPatches(image, model.patchSize), positions, cores, null, null)
            val count = next.rows * next.columns
            if (cache == null) this.cache = PatchCache.of(stepped, count, engine.heads)
            else cache.write(IntArray(count) { it }, stepped)
            remembers = true
            due = true
            return stepped.embedding
        }
        val mask = FloatArray(positions.size / 2)
        for (patch in plan.patches) mask[patch] = HIDE
        val places = FloatArray(plan.patches.size * 2) { positions[plan.patches[it / 2] * 2 + it % 2] }
        val stepped = engine.step(cutSome(image, model.patchSize, plan.patches), places, cores, mask, cache)
        cache.write(plan.patches, stepped)
        return stepped.embedding
    }
}
