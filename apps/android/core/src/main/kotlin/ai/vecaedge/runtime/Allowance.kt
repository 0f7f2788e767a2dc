package ai.vecaedge.runtime

import kotlin.math.min

// What a stream's work costs, in units of what a full frame costs per patch.

/** Fitting the frame and making the result, of every frame. */
private const val CALL = 12.0

/** A core of a full frame. */
private const val CORE = 1.25

/** A patch of a step, a core of one, a patch that it remembers. */
private const val STEP_PATCH = 1.25
private const val STEP_CORE = 1.5
private const val STEP_REMEMBERED = 0.125

/** Another number of patches than the step before, for which the engine makes a new plan. */
private const val PLAN = 14.0

/** Looking for change, and that per patch of the picture. */
private const val LOOK = 6.0
private const val LOOK_PATCH = 0.015625

/** Of a look: what the next frame is compared with, and no more. */
private const val TAKEN = 0.5

/** The keys and values of a keyframe, and those per patch. */
private const val KEEP = 3.0
private const val KEEP_PATCH = 0.09375

/** What can be spent at once, in full frames. */
private const val MOST = 0.21875

/** What comes back per frame, in full frames. */
private const val EARNED = 0.0078125

/**
 * How much more than full frames a stream may still cost: what it saves pays for what it spends later, up to a limit.
 *
 * Counted in what its work costs, never by a clock, so that results repeat. Not thread-safe.
 *
 * @param patches of the picture.
 */
internal class Allowance(private val patches: Int, cores: Int) {
    private val full = CALL + patches + CORE * cores
    private val look = (LOOK + LOOK_PATCH * patches) / full
    private val keep = (KEEP + KEEP_PATCH * patches) / full
    private val nothing = CALL / full + look
    private val step = (STEP_CORE * cores + STEP_REMEMBERED * patches) / full
    private val stepPatch = STEP_PATCH / full
    private val plan = PLAN / full

    /** Of the step before. */
    private var before = patches

    /** Full frames, below 0 if too much was spent. */
    private var left = MOST

    /** Whether only full frames may follow, until what they earn makes up for it. */
    val spent: Boolean get() = left < 0

    /** Whether a step of so many patches makes up for a keyframe that remembers the others. */
    fun pays(patches: Int): Boolean = keep + plan + cost(patches) < 1

    /** A frame of which so many patches were computed, after looking for change. Whether that saved anything. */
    fun step(patches: Int): Boolean {
        var cost = cost(patches)
        if (patches > 0 && patches != before) {
            cost += plan
            before = patches
        }
        count(cost)
        return cost < 1
    }

    /**
     * A frame of all patches.
     *
     * @param kept with their keys and values.
     * @param looked after looking for change.
     * @param taken without, but so that the next frame can be compared with it.
     */
    fun full(kept: Boolean, looked: Boolean, taken: Boolean) {
        if (kept) before = patches
        val looks = if (looked) 1.0 else if (taken) TAKEN else 0.0
        count(1 + (if (kept) keep else 0.0) + looks * look)
    }

    private fun cost(patches: Int): Double = nothing + (if (patches > 0) step + stepPatch * patches else 0.0)

    private fun count(cost: Double) {
        left = min(MOST, left + 1 + EARNED - cost)
    }
}
