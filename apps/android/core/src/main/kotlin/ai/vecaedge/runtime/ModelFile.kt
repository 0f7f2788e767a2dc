package ai.vecaedge.runtime

import ai.vecaedge.VecaError
import java.io.DataInputStream
import java.io.File
import java.io.IOException
import java.security.MessageDigest
import java.util.zip.ZipFile
import kotlin.math.min

private const val BLOCK = 1 shl 20

/**
 * The contents of a model file beside the program, which stays on disk:
 *
 *     model.pte = program | manifest.json  cores.npy  coordinates.npy  [head_weight.npy  head_bias.npy]
 *                 [heads/NAME_weight.npy  heads/NAME_bias.npy ...]
 *
 * ExecuTorch reads the program at the front; every ZIP reader finds the archive at the end.
 *
 * @property path the file.
 * @property manifest what it is.
 * @property cores (M, D), the core tokens in order.
 * @property coordinates (M, 2), their raw positions.
 * @property head the classifier, or null.
 * @property dense the heads for every patch, by name.
 * @property digest SHA-256 of the whole file, hexadecimal.
 */
class ModelFile(
    val path: File,
    val manifest: Manifest,
    val cores: FloatArray,
    val coordinates: FloatArray,
    val head: Head?,
    val dense: List<DenseHead>,
    val digest: String,
) {
    companion object {
        /**
         * Read and check a model file: everything but the program is in memory, the program's digest is compared.
         *
         * Takes as long as reading the file does; not for the main thread. Throws [VecaError.File].
         */
        fun read(path: File): ModelFile {
            if (!path.isFile) throw VecaError.File("$path: no such file")
            try {
                checkStart(path)
                ZipFile(path).use { return readArchive(path, it) }
            } catch (error: VecaError.File) {
                throw VecaError.File("$path: ${error.message}", error)
            } catch (error: IOException) {
                throw VecaError.File("$path: damaged, or made by another tool: ${error.message}", error)
            } catch (error: RuntimeException) { // what ZIP readers throw at some kinds of damage
                throw VecaError.File("$path: damaged: ${error.message}", error)
            }
        }

        private fun readArchive(path: File, archive: ZipFile): ModelFile {
            val manifest = Manifest.parse(member(path, archive, "manifest.json").toString(Charsets.UTF_8))
            val rows = manifest.numCores
            fun array(name: String, vararg shape: Int) = npy(name, member(path, archive, "$name.npy"), shape.toList())
            val head = if (manifest.labels.isEmpty()) null else {
                val labels = manifest.labels.size
                Head(array("head_weight", labels, 2 * manifest.featureDim), array("head_bias", labels))
            }
            val dense = manifest.tasks.map {
                val weight = array("heads/${it.name}_weight", it.outputs, manifest.featureDim)
                DenseHead(it, weight, array("heads/${it.name}_bias", it.outputs))
            }
            val cores = array("cores", rows, manifest.hiddenDim)
            val coordinates = array("coordinates", rows, 2)
            return ModelFile(path, manifest, cores, coordinates, head, dense, digest(path, manifest))
        }

        private fun checkStart(path: File) {
            val start = ByteArray(8)
            path.inputStream().use { file -> DataInputStream(file).readFully(start, 0, min(8, path.length()).toInt()) }
            if (String(start, 4, 3, Charsets.ISO_8859_1) != "ET1") {
                throw VecaError.File("not a model file (expected a .pte made by `veca-edge convert`)")
            }
        }

        /** Native code will trust the program's bytes, so they must be the ones that were verified. */
        private fun digest(path: File, manifest: Manifest): String {
            val program = MessageDigest.getInstance("SHA-256")
            val whole = MessageDigest.getInstance("SHA-256")
            val block = ByteArray(BLOCK)
            var left = manifest.programSize
            path.inputStream().use { file ->
                while (true) {
                    val got = file.read(block)
                    if (got < 0) break
                    val ours = min(left, got.toLong()).toInt()
                    program.update(block, 0, ours)
                    whole.update(block, 0, got)
                    left -= ours
                }
            }
            if (left > 0 || hexadecimal(program.digest()) != manifest.programDigest) {
                throw VecaError.File("the program is damaged (its digest differs): copy or convert it again")
            }
            return hexadecimal(whole.digest())
        }
    }
}

private fun hexadecimal(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }
