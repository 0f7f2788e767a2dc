package ai.vecaedge.gallery

import ai.vecaedge.VecaError
import ai.vecaedge.camera.MAX_IMAGE_SIZE
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.Means
import ai.vecaedge.runtime.member
import ai.vecaedge.runtime.npy
import ai.vecaedge.runtime.npyBytes
import ai.vecaedge.runtime.storedArchive
import ai.vecaedge.runtime.tableOf
import ai.vecaedge.runtime.wholeOf
import java.io.File
import java.io.IOException
import java.util.zip.ZipFile

private const val FORMAT = "veca-edge gallery"
private const val FORMAT_VERSION = 1
private const val ENDING = ".npz"
private const val MANIFEST = "manifest.json"
private const val EXAMPLES = "examples.npy"
private const val MOST_EXAMPLES = 1_000_000
private const val MOST_WIDTH = 65536
private val DIGEST = Regex("([0-9a-f]{64})?")

/** Hexadecimal digits of a model's digest in a message. */
private const val SHOWN_DIGEST = 12

/**
 * The file of a gallery: an .npz archive, which writers that meet add to.
 *
 *     my-things.npz = manifest.json  examples.npy
 *
 * The manifest holds what [facts] says; `examples.npy` is float32 (n, D'), a row for each of its labels.
 */
internal object GalleryFile {
    /** See [Gallery.save]. One writer at a time: from reading to writing takes moments. */
    @Synchronized
    fun save(gallery: Gallery, path: File, before: Gallery?): Gallery {
        if (!path.name.endsWith(ENDING)) {
            throw VecaError.File("cannot write $path: let the name of a gallery end in $ENDING")
        }
        // Only what this writer changed is changed in the file, which may hold more by now than it knows of.
        val there = if (path.exists()) load(path, gallery).examples else emptyList()
        val gone = before?.let { without(it.examples, gallery.examples) }.orEmpty()
        val kept = without(there, gone)
        val known = if (path.exists()) before?.examples.orEmpty() else emptyList()
        val merged = gallery.with(kept + without(without(gallery.examples, known), kept))
        writeWhole(path, archiveOf(merged))
        return merged
    }

    /**
     * See [Gallery.load].
     *
     * @param wanted a gallery of the model that it is to be used with, null for any.
     */
    fun load(path: File, wanted: Gallery?): Gallery {
        if (!path.isFile) throw VecaError.File("$path: no such file")
        val gallery = try {
            ZipFile(path).use { read(path, it) }
        } catch (error: VecaError) {
            throw VecaError.File("$path: ${error.message}", error)
        } catch (error: IOException) {
            throw damaged(path, error)
        } catch (error: RuntimeException) { // what ZIP readers throw at some kinds of damage
            throw damaged(path, error)
        }
        if (wanted != null) checkModel(path, gallery, wanted)
        return gallery
    }

    /** Refuse examples of another model: vectors of different weights have nothing to do with each other. */
    private fun checkModel(path: File, gallery: Gallery, wanted: Gallery) {
        val unlike = gallery.model.isNotEmpty() && wanted.model.isNotEmpty() && gallery.model != wanted.model
        val (width, other) = Pair(gallery.width, wanted.width)
        if (!unlike && (width == null || other == null || width == other)) return
        val digest = gallery.model.take(SHOWN_DIGEST).let { if (it.isEmpty()) it else " (checkpoint sha256 $it…)" }
        throw VecaError.File(
            "$path was taught with another model$digest: use a file made from that checkpoint, or teach the " +
                "examples to a new gallery",
        )
    }

    private fun damaged(path: File, cause: Exception) =
        VecaError.File("$path: no gallery, or a damaged one: use a copy of it, or teach to another file", cause)

    private fun facts(gallery: Gallery): Map<String, Any?> = mapOf(
        "format" to FORMAT,
        "format_version" to FORMAT_VERSION,
        "model" to gallery.model,
        "width" to (gallery.width ?: 0),
        "labels" to gallery.examples.map { it.label },
        "regions" to gallery.examples.map { it.region },
        "image_sizes" to gallery.examples.map { it.imageSize ?: 0 },
        "means" to gallery.means?.table(),
    )

    private fun archiveOf(gallery: Gallery): ByteArray {
        val members = mutableListOf(MANIFEST to Json.write(facts(gallery)).toByteArray())
        val vectors = gallery.examples.map { it.values }
        if (vectors.isNotEmpty()) members += EXAMPLES to npyBytes(vectors)
        return storedArchive(members)
    }

    private fun read(path: File, archive: ZipFile): Gallery {
        val facts = tableOf(Json.parse(member(path, archive, MANIFEST).toString(Charsets.UTF_8))).orEmpty()
        if (facts["format"] != FORMAT) throw VecaError.File("is no gallery: it was made by another tool")
        val version = facts["format_version"]
        if (wholeOf(version, 1..FORMAT_VERSION) == null) {
            throw VecaError.File("has format $version, this library reads up to $FORMAT_VERSION: update it")
        }
        val (model, width) = Pair(facts["model"], wholeOf(facts["width"], 0..MOST_WIDTH))
        if (model !is String || !DIGEST.matches(model) || width == null) wrong("model or width")
        val (labels, regions) = Pair(facts["labels"], facts["regions"])
        if (labels !is List<*> || regions !is List<*> || labels.size != regions.size) wrong("labels or regions")
        if (labels.size > MOST_EXAMPLES) wrong("regions")
        val sizes = facts["image_sizes"] ?: List(labels.size) { 0.0 } // files of before have none
        if (sizes !is List<*> || sizes.size != labels.size) wrong("image_sizes")
        val means = facts["means"]?.let { Means.read(it, width) }
        val rows = if (labels.isEmpty()) FloatArray(0)
        else npy(EXAMPLES, member(path, archive, EXAMPLES), listOf(labels.size, width))
        val examples = labels.indices.map {
            val label = labels[it] as? String ?: wrong("labels")
            val vector = checkedVector(rows.copyOfRange(it * width, (it + 1) * width), width)
            val size = wholeOf(sizes[it], 0..MAX_IMAGE_SIZE) ?: wrong("image_sizes")
            Example(checkedLabel(label), vector, regions[it] as? Boolean ?: wrong("regions"), size.takeIf { it > 0 })
        }
        return Gallery(examples, means, model)
    }

    private fun wrong(what: String): Nothing = throw VecaError.File("its manifest is damaged: $what")

    /** The examples that are not among others, in their order. */
    private fun without(examples: List<Example>, gone: List<Example>): List<Example> {
        val known = gone.toSet()
        return examples.filter { it !in known }
    }

    /** Beside the file first, so that a full disk or a flat battery leaves the old one. */
    private fun writeWhole(path: File, bytes: ByteArray) {
        val part = File("$path.part")
        try {
            path.absoluteFile.parentFile?.mkdirs()
            part.outputStream().use {
                it.write(bytes)
                it.fd.sync()
            }
            if (!part.renameTo(path)) throw IOException("cannot rename ${part.name}")
        } catch (error: IOException) {
            part.delete()
            throw VecaError.File("cannot write $path: ${error.message}", error)
        }
    }
}
