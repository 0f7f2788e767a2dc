package ai.vecaedge

import ai.vecaedge.camera.Box
import ai.vecaedge.gallery.Gallery
import ai.vecaedge.gallery.Region
import ai.vecaedge.gallery.regionMean
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.Means
import ai.vecaedge.runtime.npyBytes
import ai.vecaedge.runtime.storedArchive
import java.io.File
import java.util.Base64

/** Things named by examples, which of them a picture or a box shows, and the files that this is kept in. */
fun Checks.gallery(golden: File, folder: File) {
    val file = Table.read(File(golden, "gallery.json"))
    for (case in file.tables("regions")) {
        val mean = regionMean(taught(case), boxOf(case)!!)
        near(mean, case.numbers("mean"), "mean under ${case["box"]}")
    }
    for (case in file.tables("refused_regions").filter { it.numbers("box").size == 4 }) {
        val (rows, columns) = case.ints("grid")
        val result = taught(case).copy(features = Grid(rows, columns, FloatArray(rows * columns * 2)))
        fails<VecaError.Argument>("the box ${case["box"]}") { regionMean(result, boxOf(case)!!) }
    }
    names(file.texts("refused_labels"))
    file.tables("galleries").forEach(::galleryCase)
    galleryRefusals()
    galleryFiles(file.table("file"), folder)
    means()
}

private fun Checks.galleryCase(case: Table) {
    val what = case.text("what")
    var gallery = Gallery(emptyList(), meansOf(case["means"]))
    for (step in case.tables("steps")) {
        gallery = if ("remove" in step) gallery.remove(step.text("remove"))
        else gallery.add(step.text("add"), taught(step), boxOf(step))
    }
    same(gallery.labels.map { listOf(it.key, it.value.toDouble()) }, case.lists("labels"), "$what: labels")
    for ((name, region) in listOf("images" to false, "regions" to true)) {
        near(gallery.threshold(region), case.table("thresholds").number(name), "$what: $name", 1e-4, 1e-4)
    }
    for (query in case.tables("queries")) {
        val found = gallery.predict(taught(query), boxOf(query), query.int("k"))
        val wanted = query.lists("matches")
        same(found.map { it.label }, wanted.map { it[0] }, "$what: labels of matches")
        same(found.map { it.sure }, wanted.map { it[2] }, "$what: sure")
        for ((match, told) in found.zip(wanted)) near(match.similarity, told[1] as Double, "$what: similarity", 0.0, 1e-4)
    }
}

private fun Checks.names(refused: List<String>) {
    val result = taught(floatArrayOf(1f, 2f))
    val longest = "é".repeat(100)
    for (label in refused + listOf("e\u0301".repeat(51), "a\ud800", "\ue000", "\u00a0", "mug\u2028")) {
        fails<VecaError.Argument>("the name $label") { Gallery().add(label, result) }
    }
    val gallery = Gallery().add("cafe\u0301", result).add(longest, result).add("🥑 pear", result)
    same(gallery.labels.keys.toList(), listOf("caf\u00e9", longest, "🥑 pear"), "names that are kept")
    same(gallery.remove("cafe\u0301").examples.size, 2, "examples without a name")
    fails<VecaError.Argument>("no such name") { gallery.remove("mug") }
}

private fun Checks.galleryRefusals() {
    val gallery = Gallery().add("mug", taught(floatArrayOf(1f, 2f)))
    fails<VecaError.Argument>("a result of another width") { gallery.add("mug", taught(FloatArray(3))) }
    fails<VecaError.Argument>("the same of a question") { gallery.predict(taught(FloatArray(3))) }
    fails<VecaError.Argument>("a result without an embedding") { Gallery().add("mug", taught(FloatArray(0))) }
    fails<VecaError.Engine>("a value that is no number") { gallery.add("mug", taught(floatArrayOf(1f, Float.NaN))) }
    fails<VecaError.Argument>("no matches") { gallery.predict(taught(FloatArray(2)), k = 0) }
    val box = Region(0.0, 0.0, Double.NaN, 1.0)
    fails<VecaError.Argument>("a box of no numbers") { gallery.add("mug", taught(FloatArray(2)), box) }
    val mine = floatArrayOf(1f, 2f)
    val kept = Gallery().add("mug", taught(mine))
    mine[0] = 9f
    kept.examples[0].vector[1] = 9f
    same(kept.examples[0].vector.toList(), listOf(1f, 2f), "an example that nobody writes to")
}

/** Python's file is read; what is written here is for Python to read, and in all damage one line. */
private fun Checks.galleryFiles(told: Table, folder: File) {
    val bytes = Base64.getDecoder().decode(told.text("npz"))
    val path = File(folder, "python.npz").also { it.writeBytes(bytes) }
    val gallery = Gallery.load(path)
    same(gallery.model, told.text("model"), "the model of Python's file")
    same(gallery.means, meansOf(told["means"]), "the means of Python's file")
    for ((example, wanted) in gallery.examples.zip(told.tables("examples"))) {
        same(example.label to example.region, wanted["label"] to wanted["region"], "an example")
        same(example.imageSize, wanted.int("image_size"), "image size of ${example.label}")
        near(example.vector, wanted.numbers("vector"), "vector of ${example.label}")
    }
    val ours = File(folder, "kotlin.npz")
    val once = gallery.save(ours)
    same(Gallery.load(ours).examples, gallery.examples, "examples there and back")
    same(Gallery.load(ours).means, gallery.means, "means there and back")
    same(Gallery.load(ours).examples.map { it.imageSize }, gallery.examples.map { it.imageSize }, "sizes there and back")
    same(gallery.add("mug", taught(FloatArray(gallery.width!!) { 1f })).imageSize, 16, "the size of most examples")
    gallery.save(File(folder, "again.npz"))
    that(ours.readBytes().contentEquals(File(folder, "again.npz").readBytes())) { "equal galleries, other files" }
    writers(ours, once)
    same(folder.list()!!.count { it.endsWith(".part") }, 0, "files that are half written")
    otherModels(folder, ours)
    damagedGalleries(bytes, File(folder, "damaged.npz"))
}

/** Two writers: each changes only what it changed itself. */
private fun Checks.writers(path: File, start: Gallery) {
    val width = start.width!!
    fun vector(value: Int) = taught(FloatArray(width) { if (it == 0) value.toFloat() else 1f })
    val mine = start.add("mine", vector(2)).save(path, start)
    val theirs = start.add("theirs", vector(3)).remove("mug").save(path, start)
    same(theirs.labels.keys.toList(), listOf("café ☕", "mine", "theirs"), "what two writers leave")
    val undone = start.save(path, mine)
    same(undone.labels.keys.toList(), listOf("café ☕", "theirs"), "what is left of it without mine")
    same(Gallery.load(path).examples, undone.examples, "what the file holds")
    same(undone.save(path).examples, undone.examples, "the same once more")
    val first = FloatArray(width) { 1e-3f * it - 0.25f }
    File(path.path).delete()
    start.add("écrit par Kotlin", taught(first)).save(path)
}

private fun Checks.otherModels(folder: File, path: File) {
    val model = Gallery.load(path).model
    fun of(digest: String, width: Int = 6) = Model(
        "small", FormulaEngine(), preprocessingOf(Table(mapOf("p" to emptyMap<String, Any>())), "p"), 8, listOf(8),
        means = Means(List(width) { 0.0 }, List(width) { 0.0 }), sourceDigest = digest,
    )
    for (fit in listOf(of(model), of(""))) same(Gallery.load(path, fit).model, model, "a gallery of the model")
    for (other in listOf(of("f".repeat(64)), of(model, 5))) {
        fails<VecaError.File>("a gallery of another model") { Gallery.load(path, other) }
        fails<VecaError.File>("writing over it") { Gallery.of(other).save(path) }
    }
    val said = runCatching { Gallery.load(path, of("f".repeat(64))) }.exceptionOrNull()?.message.orEmpty()
    val words = " was taught with another model (checkpoint sha256 0123456789ab…): use a file made from that " +
        "checkpoint, or teach the examples to a new gallery"
    same(said, "$path$words", "what is said of another model")
    fails<VecaError.File>("another ending") { Gallery().save(File(folder, "things.zip")) }
    fails<VecaError.File>("no such file") { Gallery.load(File(folder, "missing.npz")) }
    fails<VecaError.File>("a folder in the way") { Gallery().save(File(folder, "d.npz").also { it.mkdir() }) }
    fails<VecaError.File>("a file in place of the folder") { Gallery().save(File(path, "things.npz")) }
}

private fun Checks.damagedGalleries(bytes: ByteArray, place: File) {
    fun tried(what: String, damaged: ByteArray) {
        place.writeBytes(damaged)
        fails<VecaError.File>(what) { Gallery.load(place) }
        val said = runCatching { Gallery.load(place) }.exceptionOrNull()?.message.orEmpty()
        that(said.startsWith("$place") && "\n" !in said) { "$what: $said" }
    }
    for (left in listOf(0, 5, 40, bytes.size / 2, bytes.size - 1)) tried("cut to $left", bytes.copyOf(left))
    tried("text", "hello".toByteArray())
    val plain = mapOf(
        "format" to "veca-edge gallery", "format_version" to 1, "model" to "", "width" to 2,
        "labels" to listOf("mug"), "regions" to listOf(false), "means" to null,
    )
    val rows = npyBytes(listOf(floatArrayOf(1f, 2f)))
    fun made(changes: Map<String, Any?>, examples: ByteArray = rows) = storedArchive(
        listOf("manifest.json" to Json.write(plain + changes).toByteArray(), "examples.npy" to examples),
    )
    place.writeBytes(made(emptyMap()))
    same(Gallery.load(place).labels, mapOf("mug" to 1), "a file made by hand")
    val lies = listOf<Pair<String, Any?>>(
        "format" to "another", "format" to null, "format_version" to 2, "format_version" to 0, "format_version" to "1",
        "format_version" to true, "model" to "abc", "model" to null, "model" to 1, "width" to 3, "width" to -1,
        "width" to 70000, "width" to 1.5, "labels" to listOf("a", "b"), "labels" to "mug", "labels" to listOf(1),
        "labels" to listOf("a\nb"), "labels" to listOf("a".repeat(10_000)), "regions" to listOf(0),
        "regions" to listOf(null), "regions" to null, "image_sizes" to listOf(16, 16), "image_sizes" to listOf(-1),
        "image_sizes" to listOf(10_000), "image_sizes" to listOf(null), "image_sizes" to 16, "means" to listOf(1), "means" to mapOf("embedding" to listOf(1)),
    )
    for (lie in lies) tried("$lie", made(mapOf(lie)))
    tried("a list", storedArchive(listOf("manifest.json" to "[]".toByteArray())))
    tried("examples that are not there", storedArchive(listOf("manifest.json" to Json.write(plain).toByteArray())))
    tried("a value that is no number", made(emptyMap(), npyBytes(listOf(floatArrayOf(1f, Float.NaN)))))
    tried("fewer examples", made(emptyMap(), rows.copyOf(rows.size - 4)))
    tried("two rows", made(emptyMap(), npyBytes(listOf(floatArrayOf(1f), floatArrayOf(1f)))))
}

private fun Checks.means() {
    val sound = mapOf("embedding" to listOf(0.5, 1.0), "features" to listOf(0.0, -1e6), "photos" to 16.0)
    same(Means.read(sound, 2), Means(listOf(0.5, 1.0), listOf(0.0, -1e6), 16), "means")
    same(Means.read(sound + ("photos" to "many"), 2).photos, 0, "photos that are no number")
    same(Means.read(Json.parse(Json.write(Means.read(sound, 2).table())), 2), Means.read(sound, 2), "means in JSON")
    val other = listOf(emptyList<Any>(), "x", null, listOf(1.0), listOf(1.0, "x"), listOf(1.0, 1e7), listOf(1.0, true))
    for (value in other) fails<VecaError.File>("means $value") { Means.read(sound + ("features" to value), 2) }
    for (value in listOf(null, "x", emptyList<Any>())) fails<VecaError.File>("means $value") { Means.read(value, 2) }
}

private fun meansOf(value: Any?): Means? {
    val table = Table(value as? Map<*, *> ?: return null)
    return Means.read(value, table.numbers("embedding").size)
}

/** A result with what a case says of it. */
private fun taught(case: Table): Result {
    val embedding = if ("embedding" in case) floatsOf(case.numbers("embedding")) else floatArrayOf(0f)
    if ("crop" !in case) return taught(embedding)
    val (x, y, width, height) = case.ints("crop")
    val rows = if ("features" in case) case.lists("features") else listOf(listOf(listOf(0.0)))
    val patches = rows.flatten()
    val values = floatsOf(patches.flatMap { it as List<*> })
    return taught(embedding).copy(
        features = Grid(rows.size, patches.size / rows.size, values), crop = Box(x, y, width, height),
    )
}

private fun taught(embedding: FloatArray): Result {
    val grid = Grid(1, 1, FloatArray(1))
    return Result(embedding, grid, grid, null, emptyList(), 8, 16, 16, Box(0, 0, 16, 16), 0.0)
}

private fun boxOf(case: Table): Region? {
    if ("box" !in case) return null
    val (x, y, width, height) = case.numbers("box")
    return Region(x, y, width, height)
}
