package ai.vecaedge.sample

import ai.vecaedge.GoldenCheck
import ai.vecaedge.GoldenRow
import ai.vecaedge.LatencyProfile
import ai.vecaedge.Model
import ai.vecaedge.Result
import ai.vecaedge.Session
import ai.vecaedge.Stream
import ai.vecaedge.VecaError
import ai.vecaedge.android.DeviceMonitor
import ai.vecaedge.android.FrameAnalyzer
import ai.vecaedge.android.fromAsset
import ai.vecaedge.android.load
import ai.vecaedge.android.toBitmap
import ai.vecaedge.camera.FeatureColours
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.gallery.Match
import android.content.Context
import android.graphics.Bitmap
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.Preview
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import androidx.core.content.ContextCompat
import androidx.lifecycle.LifecycleOwner
import java.io.File
import java.io.IOException
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executors

private const val MODEL = "veca.pte"
private const val TARGET_FPS = 30.0

/** Frames of the camera with which a device is measured at the first start. */
private const val FRAMES_TO_MEASURE = 24

/**
 * From the camera to what the screen shows.
 *
 * One worker thread owns model, session and stream: opening, measuring, checking and every frame run there, one after
 * another. What the screen reads is Compose state, which may be set from any thread; it holds finished results only.
 */
class Pipeline(private val context: Context) {
    /** One line about what is being done, or what is wrong. */
    var message by mutableStateOf("opening the model")
        private set

    private val worker = Executors.newSingleThreadExecutor { task -> Thread(task, "veca-edge worker") }
    private val colours = FeatureColours()
    private val measured = mutableListOf<RgbImage>()
    private var model: Model? = null
    private var session: Session? = null
    private var stream: Stream? = null
    private val analysis: ImageAnalysis =
        FrameAnalyzer(::frame) { error -> message = error.message.orEmpty() }.analysis(worker)

    /** Where the preview goes; the screen sets its surface. */
    val preview: Preview = Preview.Builder().build()

    /** The newest result; null before the first. */
    var result by mutableStateOf<Result?>(null)
        private set

    /** The taught name of what it shows; null if it is none of them. */
    var recognised by mutableStateOf<Match?>(null)
        private set

    /** What the person taught; null while the model is being opened. */
    var teacher by mutableStateOf<Teacher?>(null)
        private set

    /** Its features as colours, if they are asked for. */
    var features by mutableStateOf<Overlay?>(null)
        private set

    /** Its mask of [head]; null without one. */
    var mask by mutableStateOf<Overlay?>(null)
        private set

    /** The model's dense heads by name. */
    var heads by mutableStateOf<List<String>>(emptyList())
        private set

    /** Whose mask is drawn; null for none. */
    var head by mutableStateOf<String?>(null)
        private set

    /** The outcome of the check; null before it ran. */
    var checked by mutableStateOf<List<GoldenRow>?>(null)
        private set

    /** Core counts of the model; empty while it is being opened. */
    var budgets by mutableStateOf<List<Int>>(emptyList())
        private set

    /** Whether the governor chooses; else [cores] hold. */
    @Volatile
    var auto = true

    /** The chosen budget, without the governor. */
    @Volatile
    var cores = 0

    /** Whether features are painted. */
    @Volatile
    var paints = false

    init {
        onWorker {
            val opened = Model.load(context, MODEL)
            model = opened
            cores = opened.budgets.last()
            budgets = opened.budgets
            heads = opened.tasks.map { it.name }
            head = heads.firstOrNull()
            message = "measuring this device"
            val teacher = Teacher(context.filesDir, opened)
            this.teacher = teacher
            teacher.open()
        }
    }

    /** Bind preview and analysis to the activity. On the main thread; the rest follows when CameraX is ready. */
    fun openCamera(owner: LifecycleOwner) {
        val provider = ProcessCameraProvider.getInstance(context)
        provider.addListener({
            try {
                provider.get().unbindAll()
                provider.get().bindToLifecycle(owner, CameraSelector.DEFAULT_BACK_CAMERA, preview, analysis)
            } catch (error: ExecutionException) {
                refuse("the camera cannot be opened: ${error.message}")
            } catch (error: IllegalArgumentException) {
                refuse("this device has no such camera: ${error.message}")
            }
        }, ContextCompat.getMainExecutor(context))
    }

    /** Say why there is no picture. */
    fun refuse(why: String) {
        message = why
    }

    /** Draw the next head's mask; after the last one none. */
    fun nextHead() {
        head = heads.getOrNull(heads.indexOf(head) + 1)
    }

    /** Make the newest frame an example of this name; a line says why it cannot be one. */
    fun teach(name: String) = onWorker {
        val seen = result ?: throw VecaError.Argument("there is no frame yet: wait for the first result")
        teacher?.teach(name, seen)
        message = ""
    }

    /** Take the last example back. */
    fun undo() = onWorker { teacher?.undo() }

    /** Run the golden photos through the model. */
    fun check() {
        checked = null
        onWorker {
            message = "checking"
            val text = context.assets.open("end-to-end.json").use { it.readBytes().toString(Charsets.UTF_8) }
            val check = GoldenCheck(text, "executorch-int8")
            checked = check.run(openedModel()) { RgbImage.fromAsset(context, it) }
            message = ""
        }
    }

    /** Stop for good. Frames that are under way end first; the main thread does not wait for them. */
    fun close() {
        analysis.clearAnalyzer() // no frame may come for a worker that is gone
        worker.execute {
            session?.close()
            model?.close()
            model = null
        }
        worker.shutdown()
    }

    private fun openedModel(): Model = model ?: throw VecaError.Argument("there is no model")

    /** On the worker, for every frame. */
    private fun frame(image: RgbImage) {
        val model = model ?: return
        val session = session ?: return measure(model, image)
        val next = if (auto) session.update(image) else streamOf(model).update(image)
        if (paints) features = overlay(colours.paint(next.features).toBitmap(), next, image)
        mask = head?.let { next.dense[it] }?.let {
            overlay(it.paint(next.height / 2, next.width / 2).toBitmap(clear = it.task.background), next, image)
        }
        recognised = teacher?.recognised(next)
        result = next
    }

    private fun overlay(picture: Bitmap, result: Result, frame: RgbImage) =
        Overlay(picture, result.crop, frame.width, frame.height)

    /** The first frames show this device what its camera sees; then it is measured, once. */
    private fun measure(model: Model, image: RgbImage) {
        measured += image
        if (measured.size < FRAMES_TO_MEASURE) return
        val front = LatencyProfile(File(context.noBackupFilesDir, "profiles")).front(model, TARGET_FPS) { measured }
        measured.clear()
        session = Session(model, front, DeviceMonitor(context), targetFps = TARGET_FPS, onCritical = {
            message = "the device is critically hot"
        }).also { it.start() }
        message = ""
    }

    private fun streamOf(model: Model): Stream {
        val stream = stream ?: model.stream(cores).also { stream = it }
        if (stream.cores != cores) stream.cores = cores
        return stream
    }

    private fun onWorker(task: () -> Unit) = worker.execute {
        try {
            task()
        } catch (error: VecaError) {
            message = error.message.orEmpty()
        } catch (error: IOException) {
            message = "cannot be read: ${error.message}"
        }
    }
}
