package ai.vecaedge.gallery

import ai.vecaedge.Model
import ai.vecaedge.Result
import ai.vecaedge.VecaError
import ai.vecaedge.runtime.Means
import java.io.File
import java.text.Normalizer
import kotlin.math.min

/** Characters of a name. */
private const val LONGEST_NAME = 100

/** What cannot be shown. What is unassigned may be an emoji that newer systems know. */
private val HIDDEN = setOf(
    Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE, Character.SPACE_SEPARATOR,
    Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR,
)

/**
 * What a gallery remembers of a picture or of a box in it.
 *
 * @property label the name that it was given.
 * @property region whether it is of a box.
 * @property imageSize of the model's input then, in pixels; null if that is not known.
 */
class Example internal constructor(
    val label: String,
    internal val values: FloatArray,
    val region: Boolean,
    val imageSize: Int? = null,
) {
    /** A copy of the vector (D'): the embedding of the picture, or the mean of the box's patch features. */
    val vector: FloatArray get() = values.copyOf()

    /** Equal is the same example of the same name. */
    override fun equals(other: Any?): Boolean =
        other is Example && label == other.label && region == other.region && values.contentEquals(other.values)

    override fun hashCode(): Int = 31 * label.hashCode() + values.contentHashCode()
}

/**
 * A name that a picture may have.
 *
 * @property label the name.
 * @property similarity cosine of the picture and the mean of the name's examples, -1..1.
 * @property sure whether it is worth showing; only the best match can be. An unknown thing is like nothing enough.
 */
data class Match(val label: String, val similarity: Double, val sure: Boolean)

/**
 * Named examples of one model. A value: what changes it makes a new one, so undo is to keep the one before.
 *
 *     val gallery = Gallery.of(model).add("mug", model(photo)).add("keys", model(other), Region(40.0, 60.0, 200.0, 120.0))
 *     gallery.save(File(context.filesDir, "my-things.npz"))
 *     val best = gallery.predict(model(image)).firstOrNull()
 *
 * @property examples in the order in which they were added.
 * @property means what is taken off vectors before they are compared, null for nothing.
 * @property model SHA-256 of the checkpoint that its model was made from, hexadecimal; "" if that is not known.
 */
class Gallery internal constructor(
    val examples: List<Example> = emptyList(),
    val means: Means? = null,
    val model: String = "",
) {
    private val images by lazy { index(false) }
    private val regions by lazy { index(true) }

    /** How many examples each name has, the name that was added first in front. */
    val labels: Map<String, Int> get() = examples.groupingBy { it.label }.eachCount()

    /** Pixels at which most of the examples were taught, and new pictures are best asked about; null if unknown. */
    val imageSize: Int?
        get() = examples.mapNotNull { it.imageSize }.groupingBy { it }.eachCount().maxByOrNull { it.value }?.key

    /** Values D' of a vector, null as long as that is open. */
    val width: Int? get() = examples.firstOrNull()?.values?.size ?: means?.embedding?.size

    /**
     * This gallery and one more example. The same picture under the same name counts once.
     *
     * Throws [VecaError.Argument] for a name that cannot be shown, a result of another model or a box without an area
     * within `result.crop`; [VecaError.Engine] for values that are not numbers.
     *
     * @param label 1 to 100 printable characters.
     * @param result of the gallery's model, at any core budget and image size.
     * @param box in pixels of the picture, of which the part within `result.crop` counts; null for the whole picture.
     *   Boxes are compared with boxes only, and whole pictures with whole pictures.
     */
    fun add(label: String, result: Result, box: Region? = null): Gallery {
        // With fit "keep" the short side is what was asked for; all other fits make squares.
        val size = min(result.width, result.height)
        val example = Example(checkedLabel(label), vector(result, box), box != null, size)
        return if (example in examples) this else with(examples + example)
    }

    /** This gallery without a name and all its examples; throws [VecaError.Argument] if there is no such name. */
    fun remove(label: String): Gallery {
        val name = composed(label)
        if (name !in labels) {
            val known = labels.keys.take(5).joinToString(", ").ifEmpty { "nothing yet" }
            throw VecaError.Argument("the gallery has no '${shown(label)}': it knows $known")
        }
        return with(examples.filter { it.label != name })
    }

    /**
     * The names that are most alike, best first; of a box only those that have examples of boxes.
     *
     * Throws as [add], but for names; [VecaError.Argument] for an impossible [k].
     *
     * @param k matches at most, 1 or more.
     */
    fun predict(result: Result, box: Region? = null, k: Int = 5): List<Match> {
        if (k < 1) throw VecaError.Argument("predict(k=$k): use a whole number of matches, 1 or more")
        val index = if (box == null) images else regions
        return index.ranked(vector(result, box)).take(k).mapIndexed { place, (label, similarity) ->
            Match(label, similarity, place == 0 && similarity >= index.threshold)
        }
    }

    /** The similarity from which on the best match is sure, of pictures or of boxes; 1 without examples. */
    fun threshold(region: Boolean = false): Double = (if (region) regions else images).threshold

    /**
     * Write a file, whole or not at all; what others wrote there meanwhile is kept. Not for the main thread.
     *
     * Throws [VecaError.File] if it cannot be written, or is there and no gallery of this model.
     *
     * @param path its name ends in .npz. Examples that a file of this name holds stay in it.
     * @param before what this writer loaded or saved there last: what is in it and no more in this gallery is taken
     *   out of the file.
     * @return what the file holds now.
     */
    fun save(path: File, before: Gallery? = null): Gallery = GalleryFile.save(this, path, before)

    /** The same model's with other examples. */
    internal fun with(examples: List<Example>) = Gallery(examples, means, model)

    private fun index(region: Boolean): Index {
        val mean = if (region) means?.features else means?.embedding
        return Index.of(examples.filter { it.region == region }, mean?.toDoubleArray())
    }

    /** What is compared of a result, checked (D'). */
    private fun vector(result: Result, box: Region?): FloatArray =
        checkedVector(if (box == null) result.embedding else regionMean(result, box), width)

    companion object {
        /** An empty gallery for the results of a model. */
        fun of(model: Model): Gallery = Gallery(emptyList(), model.means, model.sourceDigest)

        /**
         * Read a file that [save] wrote, or Python or Swift did. Not for the main thread.
         *
         * Throws [VecaError.File]: missing, damaged, of a newer format, or of another model.
         *
         * @param model what it is to be used with; null leaves that to the caller.
         */
        fun load(path: File, model: Model? = null): Gallery = GalleryFile.load(path, model?.let(::of))
    }
}

/** A name as galleries keep it, in Unicode's composed form, or [VecaError.Argument]. */
internal fun checkedLabel(label: String): String {
    val length = label.codePointCount(0, label.length)
    if (length > LONGEST_NAME) {
        throw VecaError.Argument("the name '${label.take(30)}…' is $length characters long: use at most $LONGEST_NAME")
    }
    val name = composed(label)
    val points = IntArray(name.codePointCount(0, name.length)) { name.codePointAt(name.offsetByCodePoints(0, it)) }
    val ends = name.isEmpty() || name.startsWith(' ') || name.endsWith(' ')
    if (ends || points.size > LONGEST_NAME || !points.all(::isPrintable)) {
        throw VecaError.Argument("the name '${shown(label)}' cannot be shown: use printable characters, no space at the ends")
    }
    return name
}

private fun composed(label: String): String = Normalizer.normalize(label, Normalizer.Form.NFC)

private fun isPrintable(point: Int) = point == ' '.code || Character.getType(point).toByte() !in HIDDEN

/** The text in one line that steers no terminal. */
private fun shown(label: String) = label.take(60).map { if (isPrintable(it.code)) it else '?' }.joinToString("")

/** A copy that nobody else has (D'); throws unless it is finite and of the gallery's width. */
internal fun checkedVector(vector: FloatArray, width: Int?): FloatArray {
    if (vector.isEmpty()) throw VecaError.Argument("expected one vector of a picture, got none")
    if (width != null && vector.size != width) {
        throw VecaError.Argument(
            "a result of ${vector.size} values, and the gallery's have $width: use the gallery's model",
        )
    }
    if (!vector.all { it.isFinite() }) {
        throw VecaError.Engine("the model gave values that are not numbers: verify the file with `veca-edge verify`")
    }
    return vector.copyOf()
}
