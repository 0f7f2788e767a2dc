package ai.vecaedge.android

import ai.vecaedge.Model
import ai.vecaedge.VecaError
import ai.vecaedge.runtime.ModelFile
import android.content.Context
import java.io.File
import java.io.IOException

/**
 * Open a model file: check it, and load its program. Reads the whole file once (its digest): not for the main thread.
 *
 * Throws [VecaError.File] or [VecaError.Engine]. Close the model when it is no longer needed.
 *
 * @param threads worker threads; 0 leaves the number to ExecuTorch.
 */
fun Model.Companion.load(file: File, threads: Int = 0): Model {
    val contents = ModelFile.read(file)
    val program = ExecutorchProgram(file, threads)
    try {
        return of(contents, program)
    } catch (error: VecaError) {
        program.close()
        throw error
    }
}

/** The same for a file in the app's assets, which is first copied to where it can be mapped into memory. */
fun Model.Companion.load(context: Context, asset: String, threads: Int = 0): Model =
    load(modelFile(context, asset), threads)

/**
 * A model file of the app's assets, as a file: copied when the app was installed or updated since. Not for the main
 * thread. Throws [VecaError.File] if there is no such asset, or no room.
 */
fun modelFile(context: Context, asset: String): File {
    val file = File(File(context.noBackupFilesDir, "models"), asset)
    val updated = context.packageManager.getPackageInfo(context.packageName, 0).lastUpdateTime
    if (file.isFile && file.lastModified() >= updated) return file
    val part = File(file.path + ".part")
    try {
        part.parentFile?.mkdirs()
        context.assets.open(asset).use { from -> part.outputStream().use { from.copyTo(it) } }
        if (!part.renameTo(file)) throw IOException("cannot rename ${part.name}")
    } catch (error: IOException) {
        part.delete()
        throw VecaError.File("$asset: cannot be copied out of the app's assets: ${error.message}", error)
    }
    return file
}
