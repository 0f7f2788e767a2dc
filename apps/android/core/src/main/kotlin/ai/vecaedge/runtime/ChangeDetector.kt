package ai.vecaedge.runtime

import kotlin.math.max
import kotlin.math.min

/** Noise alone varies from patch to patch, and brighter patches are noisier than the ones it is estimated from. */
private const val NOISE_MARGIN = 1.5

/** Without any step the rotation waits until so many frames' worth of it is due. */
private const val ROTATION_FRAMES = 8

/** The engine plans anew for every other number of patches, so numbers come in steps of at least 8. */
private const val STEP = 8

/** A patch that changed by so many times the sensitivity does not wait. */
private const val STRONG = 2.0

/** Compares each patch with its pixels when it was *last computed*, so that slow drift cannot hide. Not thread-safe. */
class ChangeDetector(var settings: ChangeSettings) {
    private val sensor = Noise()
    private var seen = BytePatches(0, 0, ByteArray(0))
    private var waited = 0
    private var due = 0.0

    /** Frames since each patch was computed. */
    var age = IntArray(0)
        private set

    /** The camera's noise as estimated so far, standard deviation in grey levels. */
    val noise: Double get() = sensor.sigma

    /** Forget everything: the next frame is a keyframe. */
    fun reset() {
        seen = BytePatches(0, 0, ByteArray(0))
        sensor.reset(null)
        age = IntArray(0)
        waited = 0
        due = 0.0
    }

    /**
     * Decide for a frame, and take its pixels as computed.
     *
     * @param patches in the same order as in the frames before; kept, not copied.
     * @param allOfThem make it a keyframe.
     */
    fun plan(patches: BytePatches, allOfThem: Boolean = false): Plan {
        if (!seen.isLike(patches)) {
            reset()
            sensor.reset(patches)
            return keyframe(patches, patches.count)
        }
        sensor.follow(patches)
        for (i in age.indices) age[i]++
        val change = changeOf(patches)
        val changed = change.indices.filter { change[it] > 1 }
        if (allOfThem || changed.size > settings.keyframeShare * patches.count) return keyframe(patches, changed.size)
        val chosen = choose(change, changed).sorted().toIntArray()
        val width = patches.width
        for (patch in chosen) {
            patches.bytes.copyInto(seen.bytes, patch * width, patch * width, (patch + 1) * width)
            age[patch] = 0
        }
        return Plan(chosen, keyframe = false, changed = changed.size)
    }

    /** A keyframe without a look: only what the next frame is compared with. */
    fun take(patches: BytePatches): Plan = keyframe(patches, patches.count, looked = false)

    private fun keyframe(patches: BytePatches, changed: Int, looked: Boolean = true): Plan {
        seen = patches
        age = IntArray(patches.count)
        waited = 0
        due = 0.0
        return Plan(IntArray(patches.count) { it }, keyframe = true, changed = changed, looked = looked)
    }

    /** Mean square change beyond the noise in units of the threshold's; above 1 counts as changed. */
    private fun changeOf(patches: BytePatches): DoubleArray {
        val noise = NOISE_MARGIN * 2 * this.noise * this.noise
        return DoubleArray(patches.count) { patch ->
            var energy = 0L
            for (i in patch * patches.width until (patch + 1) * patches.width) {
                val difference = (patches.bytes[i].toInt() and 0xff) - (seen.bytes[i].toInt() and 0xff)
                energy += difference * difference
            }
            (energy.toDouble() / patches.width - noise) / (settings.sensitivity * settings.sensitivity)
        }
    }

    /** The most changed, and as many of the oldest as are due for a round in `refreshFrames`. */
    private fun choose(change: DoubleArray, changed: List<Int>): List<Int> {
        val count = change.size
        val budget = settings.patchBudget
        val rate = count.toDouble() / settings.refreshFrames
        due = min(due + rate, count.toDouble())
        val rotating = due >= max(1.0, ROTATION_FRAMES * rate)
        if (!rotating && (changed.isEmpty() || waits(change.max()))) return emptyList()
        waited = 0
        var refresh = due.toInt()
        var taken = changed
        if (budget != null) {
            // Change cannot starve the rotation, nor the rotation change.
            refresh = min(refresh, max(1, budget / 4))
            taken = changed.sortedByDescending { change[it] }.take(max(0, budget - refresh))
        }
        val most = if (budget == null) count else min(budget, count)
        refresh = min(wholeSteps(taken.size + refresh), most) - taken.size
        due = max(0.0, due - refresh)
        return taken + oldest(refresh, taken)
    }

    /** Whether this frame's changes wait for the next frame's. */
    private fun waits(strongest: Double): Boolean {
        waited++
        return strongest <= STRONG * STRONG && waited <= settings.patience
    }

    /** The sort is stable: of equally old ones the first. */
    private fun oldest(number: Int, apartFrom: List<Int>): List<Int> {
        val taken = apartFrom.toSet()
        return age.indices.filter { it !in taken }.sortedByDescending { age[it] }.take(max(0, number))
    }
}

/** The next number of patches that the engine is asked for: steps of 8, larger ones of at least an eighth. */
private fun wholeSteps(patches: Int): Int {
    val bits = 32 - Integer.numberOfLeadingZeros(patches - 1)
    val step = max(STEP, 1 shl max(0, bits - 3))
    return (patches + step - 1) / step * step
}
