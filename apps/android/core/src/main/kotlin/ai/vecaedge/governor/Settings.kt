package ai.vecaedge.governor

import ai.vecaedge.VecaError

/**
 * How the governor weighs quality, heat, battery and punctuality.
 *
 * Heat is on Android's headroom scale: 1 is where the platform throttles severely, 0.1 are 3 degrees. Ceilings are
 * shares of the largest power in the front. The reason for every number is in `veca_edge/governor/settings.py`.
 *
 * @property targetRate frames per second that the app wants.
 * @property mostPower a ceiling that always holds.
 * @property heatTarget where heat is held.
 * @property fall how fast the heat ceiling falls, share per second for each 1 of heat above the target.
 * @property rise the same for rising.
 * @property slack how far above the power in use the ceiling starts to fall.
 * @property horizon seconds that the trend of the heat is followed into the future.
 * @property smoothing seconds over which readings of heat are averaged.
 * @property trendSmoothing seconds over which its trend is.
 * @property surprise how far one reading may pull the average, heat.
 * @property patience seconds without a reading until the last one counts for nothing.
 * @property skinLimit degrees Celsius that count as severe where only a skin temperature is known.
 * @property nominalHeat heat assumed when nothing is known.
 * @property fairMargin heat assumed at a fair level without headroom, below the target.
 * @property fairCeiling ceiling at a fair level without headroom.
 * @property seriousCeiling ceiling at a serious level.
 * @property restart heat ceiling right after a critical level.
 * @property batteryFull charge, 0..1, from which the battery is no reason to save.
 * @property batteryLow charge at which the ceiling has come down to [batteryCeiling].
 * @property batteryCeiling ceiling at [batteryLow] and below.
 * @property lowPowerCeiling ceiling in low-power mode.
 * @property slowTolerance how much slower than at its best the device may run before that counts as throttling.
 * @property calmMemory seconds in which the device's best is forgotten.
 * @property frameAlarm seconds over which frame times are averaged when they grow.
 * @property frameSmoothing the same when they fall.
 * @property leastFrames frames that make statistics worth reading.
 * @property deadlineShare share of a frame's time that slow frames may take.
 * @property climbShare the same for a point that is newly chosen.
 * @property climbMargin how far below the ceiling a point must be to be climbed to, relative.
 * @property dwell seconds after a switch before the next climb.
 * @property longestStep seconds of one decision that count at most.
 */
data class Settings(
    val targetRate: Double = 30.0,
    val mostPower: Double = 1.0,
    val heatTarget: Double = 0.9,
    val fall: Double = 1 / 25.0,
    val rise: Double = 1 / 40.0,
    val slack: Double = 0.1,
    val horizon: Double = 120.0,
    val smoothing: Double = 10.0,
    val trendSmoothing: Double = 30.0,
    val surprise: Double = 0.1,
    val patience: Double = 60.0,
    val skinLimit: Double = 45.0,
    val nominalHeat: Double = 0.7,
    val fairMargin: Double = 0.02,
    val fairCeiling: Double = 0.75,
    val seriousCeiling: Double = 0.5,
    val restart: Double = 0.1,
    val batteryFull: Double = 0.3,
    val batteryLow: Double = 0.1,
    val batteryCeiling: Double = 0.25,
    val lowPowerCeiling: Double = 0.5,
    val slowTolerance: Double = 1.25,
    val calmMemory: Double = 4 * 3600.0,
    val frameAlarm: Double = 3.0,
    val frameSmoothing: Double = 10.0,
    val leastFrames: Int = 5,
    val deadlineShare: Double = 0.95,
    val climbShare: Double = 0.85,
    val climbMargin: Double = 0.05,
    val dwell: Double = 60.0,
    val longestStep: Double = 10.0,
) {
    init {
        if (numbers().any { !(it > 0 && it.isFinite()) }) wrong("every one must be a number above 0")
        if (!(batteryLow < batteryFull && batteryFull <= 1)) wrong("batteryLow < batteryFull <= 1 does not hold")
        val punctual = climbShare <= deadlineShare && deadlineShare <= 1
        if (!punctual) wrong("climbShare <= deadlineShare <= 1 does not hold")
        if (seriousCeiling > fairCeiling) wrong("seriousCeiling must be at most fairCeiling")
        if (!(nominalHeat < heatTarget && heatTarget < 1)) wrong("nominalHeat < heatTarget < 1 does not hold")
        val shares = listOf(mostPower, fairCeiling, seriousCeiling, restart, batteryCeiling, lowPowerCeiling)
        if (shares.any { it > 1 }) wrong("a ceiling is a share up to 1")
    }

    private fun numbers() = listOf(
        targetRate, mostPower, heatTarget, fall, rise, slack, horizon, smoothing, trendSmoothing, surprise, patience,
        skinLimit, nominalHeat, fairMargin, fairCeiling, seriousCeiling, restart, batteryFull, batteryLow,
        batteryCeiling, lowPowerCeiling, slowTolerance, calmMemory, frameAlarm, frameSmoothing,
        leastFrames.toDouble(), deadlineShare, climbShare, climbMargin, dwell, longestStep,
    )

    private fun wrong(what: String): Nothing = throw VecaError.Argument("the governor's settings: $what")

    companion object {
        val BALANCED = Settings()

        /** Later and less: half a degree warmer, no restraint at fair levels, saving from a seventh of the charge. */
        val QUALITY = Settings(
            heatTarget = 0.92, fairCeiling = 1.0, batteryFull = 0.15, batteryLow = 0.05, batteryCeiling = 0.35,
        )

        /** A degree and a half cooler, never more than 60 % of the power, and saving from half the charge on. */
        val SAVER = Settings(
            mostPower = 0.6, heatTarget = 0.85, batteryFull = 0.5, batteryLow = 0.2, lowPowerCeiling = 0.3,
        )
        val PRESETS = mapOf("balanced" to BALANCED, "quality" to QUALITY, "saver" to SAVER)

        /** Settings by name; throws [VecaError.Argument] for another one. */
        fun preset(name: String): Settings = PRESETS[name]
            ?: throw VecaError.Argument("'$name' is no preset: use one of ${PRESETS.keys.joinToString(", ")}")
    }
}
