package ai.vecaedge

import ai.vecaedge.governor.LatencyTable
import ai.vecaedge.governor.QualityTable
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.Manifest
import ai.vecaedge.runtime.ModelFile
import java.io.File

/** JSON, tables, and a model file, sound and damaged. */
fun Checks.files(model: File, folder: File) {
    json()
    val file = ModelFile.read(model)
    val manifest = file.manifest
    same(file.cores.size, manifest.numCores * manifest.hiddenDim, "the core tokens")
    same(file.coordinates.size, manifest.numCores * 2, "the coordinates")
    same(file.head!!.bias.size, manifest.labels.size, "the head")
    same(file.dense.map { it.task }, manifest.tasks, "the dense heads")
    same(manifest.tasks.map { it.name }, listOf("depth", "people"), "their names")
    same(manifest.means?.embedding?.size, manifest.featureDim, "the means of embeddings")
    same(manifest.means?.photos, 16, "photos of the means")
    that(Regex("[0-9a-f]{64}").matches(manifest.sourceDigest)) { "the checkpoint's digest is ${manifest.sourceDigest}" }
    that(QualityTable.of(manifest.quality).rows.isNotEmpty()) { "no quality table" }
    that(manifest.sizeBuckets("encode").last().method == "encode") { "the size buckets are ${manifest.sizeBuckets("encode")}" }
    damaged(model, manifest, File(folder, "damaged.pte"))
    fails<VecaError.File>("a missing file") { ModelFile.read(File(folder, "missing.pte")) }
    fails<VecaError.File>("an empty latency table") { LatencyTable.of(emptyList<Any>()) }
    fails<VecaError.File>("too many rows") { LatencyTable.of(List(1001) { emptyMap<String, Any>() }) }
    fails<VecaError.File>("no latency table") { LatencyTable.of(mapOf("rows" to 1)) }
    fails<VecaError.File>("a negative time") {
        LatencyTable.of(listOf(mapOf("cores" to 8.0, "image_size" to 64.0, "p50" to -1.0)))
    }
}

/** A byte changed, cut off at many places, nothing at all, text: always the typed error. */
private fun Checks.damaged(model: File, manifest: Manifest, place: File) {
    val bytes = model.readBytes()
    val program = manifest.programSize.toInt()
    fun tried(what: String, damaged: ByteArray) {
        place.writeBytes(damaged)
        fails<VecaError.File>(what) { ModelFile.read(place) }
    }
    for (at in listOf(4, 100, program / 2, program - 1)) {
        tried("byte $at changed", bytes.copyOf().also { it[at] = (it[at] + 1).toByte() })
    }
    for (left in listOf(0, 5, 8, 1000, program, program + 40, bytes.size - 1)) {
        tried("cut to $left", bytes.copyOf(left))
    }
    tried("text", "hello".toByteArray())
    val text = bytes.toString(Charsets.ISO_8859_1)
    fun replaced(old: String, new: String) = text.replace(old, new).toByteArray(Charsets.ISO_8859_1)
    tried("a newer format", replaced("\"format_version\": 1", "\"format_version\": 9"))
    tried("means of another width", replaced("\"feature_dim\": ", "\"feature_dim\": 1"))
    tried("means that are no table", replaced("\"means\": {", "\"means\":[{"))
    tried("means without their numbers", replaced("\"embedding\": [", "\"embodding\": ["))
    val cores = manifest.numCores
    tried("another number of cells", replaced("\"cells\": 2", "\"cells\": 3"))
    tried("a head that is not there", replaced("\"depth\": {", "\"death\": {"))
    tried("another number of cores", replaced("\"num_cores\": $cores", "\"num_cores\": ${cores + 1}"))
}

private fun Checks.json() {
    val list = listOf(1.0, -2.5e-3, true, null)
    val values = mapOf("a" to list, "b \"\\\n" to mapOf("é" to "ü"), "c" to emptyList<Any>())
    same(Json.parse(Json.write(values)), values, "JSON there and back")
    same(Json.parse(" {\"x\" : [ ] , \"y\":\"\\u00e9\\n\"} "), mapOf("x" to emptyList<Any>(), "y" to "é\n"), "JSON")
    val deep = "[".repeat(10_000)
    val words = listOf("", "tru", "1f", "0x1", "NaN", "\"a", "\"\\x\"", "1 2", "-")
    val wrong = words + listOf("{", "[1,]", "{\"a\":}", deep)
    for (text in wrong) fails<VecaError.File>("JSON ${text.take(10)}") { Json.parse(text) }
}
