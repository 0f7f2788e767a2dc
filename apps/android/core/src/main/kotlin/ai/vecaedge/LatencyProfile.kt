package ai.vecaedge

import ai.vecaedge.camera.RgbImage
import ai.vecaedge.governor.Front
import ai.vecaedge.governor.LatencyRow
import ai.vecaedge.governor.LatencyTable
import ai.vecaedge.governor.QualityTable
import ai.vecaedge.governor.RunConfiguration
import ai.vecaedge.governor.operatingPoints
import ai.vecaedge.runtime.ChangeSettings
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.quantile
import java.io.File
import java.io.IOException

/** Seconds that a profile should take. */
private const val SECONDS = 12.0
private const val MOST = 32

/** Frames per run configuration that are not timed: the first call of a method loads it. */
private const val WARM_UP = 2

/**
 * How long each run configuration takes on this device: measured once, and remembered in a file.
 *
 * What a run configuration is worth is in the model file; what it costs only the device knows.
 *
 * @param folder of the app's own, where measurements are kept; losing it costs another measurement.
 */
class LatencyProfile(private val folder: File) {
    /**
     * The operating points of a model on this device.
     *
     * Measures for about 12 seconds if this model has not been measured before: not for the main thread. Throws
     * [VecaError.File] for a model file without a quality table, [VecaError.Engine].
     *
     * @param frames of the app's own camera, at least [FEWEST], asked for only if there is something to measure.
     * @param targetFps frames per second that the app wants.
     */
    fun front(model: Model, targetFps: Double, frames: () -> List<RgbImage>): Front {
        if (model.quality.isEmpty()) {
            throw VecaError.File("the model file has no quality table: convert the checkpoint again")
        }
        val quality = QualityTable.of(model.quality)
        val configurations = quality.rows.map { it.configuration }
        val table = remembered(model, configurations)
            ?: measure(model, configurations, frames()).also { remember(model, it) }
        return Front.of(operatingPoints(quality, table, targetFps))
    }

    private fun place(model: Model) = File(folder, "${model.digest.take(24)}.json")

    private fun remembered(model: Model, configurations: List<RunConfiguration>): LatencyTable? = try {
        LatencyTable.of(Json.parse(place(model).readText()))
            .takeIf { it.rows.map { row -> row.configuration }.containsAll(configurations) }
    } catch (_: IOException) {
        null
    } catch (_: VecaError.File) {
        null // damaged: as good as none
    }

    private fun remember(model: Model, table: LatencyTable) {
        val place = place(model)
        val part = File(folder, place.name + ".part")
        try {
            folder.mkdirs()
            part.writeText(Json.write(table.toRows()))
            part.renameTo(place)
        } catch (_: IOException) {
            part.delete() // measured again next time
        }
    }

    companion object {
        /** Frames that a measurement needs at least. */
        const val FEWEST = 10

        /** Time every run configuration over some frames of a camera; throws [VecaError.Argument] for too few. */
        fun measure(model: Model, configurations: List<RunConfiguration>, frames: List<RgbImage>): LatencyTable {
            if (frames.size < FEWEST) {
                throw VecaError.Argument("${frames.size} frames to measure with: use $FEWEST or more")
            }
            val dearest = open(model, configurations.maxWith(compareBy({ it.imageSize }, { it.cores })))
            val pace = frames.take(5).map { dearest(it).latency }.sorted()[2]
            // Most configurations cost about half of the dearest.
            val fitting = SECONDS / (configurations.size * pace / 2)
            val count = fitting.coerceIn(FEWEST.toDouble(), MOST.toDouble()).toInt()
            return LatencyTable(
                configurations.map { configuration ->
                    val run = open(model, configuration)
                    row(configuration, (0 until count + WARM_UP).map { run(frames[it % frames.size]) }.drop(WARM_UP))
                },
            )
        }

        private fun open(model: Model, configuration: RunConfiguration): (RgbImage) -> Result {
            if (configuration.patchBudget == null) return { model(it, configuration.cores, configuration.imageSize) }
            val settings = ChangeSettings(patchBudget = configuration.patchBudget)
            return model.stream(configuration.cores, configuration.imageSize, settings)::update
        }

        private fun row(configuration: RunConfiguration, results: List<Result>): LatencyRow {
            val times = results.map { it.latency }
            val computed = results.map { it.computedPatches }
            val (base, patchTime) = line(times, computed)
            val ordered = times.sorted()
            return LatencyRow(
                configuration, quantile(ordered, 0.5), quantile(ordered, 0.95), times.average(), computed.average(),
                base,
                patchTime,
            )
        }
    }
}

/** Seconds without any patch, and per patch: least squares over frames that computed some, but not all. */
internal fun line(times: List<Double>, computed: List<Int>): Pair<Double, Double> {
    val most = computed.max()
    val partial = computed.zip(times).filter { it.first in 1 until most }
    if (partial.size < LatencyProfile.FEWEST / 2 || partial.map { it.first }.distinct().size < 2) {
        return Pair(quantile(times.sorted(), 0.5), 0.0)
    }
    val patches = partial.map { it.first }.average()
    val seconds = partial.map { it.second }.average()
    val slope = partial.sumOf { (it.first - patches) * (it.second - seconds) } /
        partial.sumOf { (it.first - patches) * (it.first - patches) }
    val base = seconds - slope * patches
    return if (slope > 0 && base > 0) Pair(base, slope)
    else Pair(quantile(partial.map { it.second }.sorted(), 0.5), 0.0)
}
