package ai.vecaedge.sample

import ai.vecaedge.Model
import ai.vecaedge.Result
import ai.vecaedge.VecaError
import ai.vecaedge.gallery.Gallery
import ai.vecaedge.gallery.Match
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import java.io.File

/** Digits of a checkpoint's digest in a file's name: another model starts a gallery of its own. */
private const val DIGITS = 12

/**
 * What the person taught, kept in a file of the app that is written whole after each change. On the worker only; the
 * screen reads [names] and [canUndo].
 */
class Teacher(folder: File, private val model: Model) {
    private val file = File(folder, "my-things-${model.sourceDigest.take(DIGITS)}.npz")
    private val earlier = mutableListOf<Gallery>()
    private var gallery = Gallery.of(model)

    /** The names that were taught, the first in front. */
    var names by mutableStateOf<List<String>>(emptyList())
        private set

    /** Whether there is a change to take back: of this run of the app. */
    var canUndo by mutableStateOf(false)
        private set

    /** Read what was taught before; throws [VecaError.File], as then does every change: a damaged file stays as it is. */
    fun open() {
        if (file.exists()) show(Gallery.load(file, model))
    }

    /** Add the newest result as an example of a name; throws [VecaError] for a name that cannot be shown. */
    fun teach(name: String, result: Result) {
        val next = gallery.add(name.trim(), result)
        if (next === gallery) return
        val before = gallery
        show(next.save(file, before))
        earlier += before
        canUndo = true
    }

    /** Take the last example back. */
    fun undo() {
        val before = earlier.lastOrNull() ?: return
        show(before.save(file, gallery))
        earlier.removeAt(earlier.lastIndex)
        canUndo = earlier.isNotEmpty()
    }

    /** The name of what is seen, if it was taught and is like enough; else null. */
    fun recognised(result: Result): Match? = gallery.predict(result, k = 1).firstOrNull()?.takeIf { it.sure }

    private fun show(next: Gallery) {
        gallery = next
        names = next.labels.keys.toList()
    }
}
