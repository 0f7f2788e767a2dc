package ai.vecaedge.android

import ai.vecaedge.VecaError
import ai.vecaedge.runtime.Floats
import ai.vecaedge.runtime.Program
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor
import java.io.File

/**
 * A program in ExecuTorch's Android runtime (XNNPACK). The file is mapped into memory, not read; it must not change
 * while the program is open. The constructor opens it and takes milliseconds; methods load at their first call.
 *
 * Everything native can throw becomes [VecaError.Engine].
 *
 * @param threads worker threads; 0 leaves the number to ExecuTorch, which chooses by the processor's big cores.
 */
class ExecutorchProgram(file: File, threads: Int = 0) : Program {
    private val module: Module = guarded("open ${file.name}") {
        Module.load(file.path, Module.LOAD_MODE_MMAP, threads)
    }

    override val methods: Set<String> = guarded("read the methods of ${file.name}") { module.getMethods().toSet() }

    override fun run(method: String, inputs: List<Floats>): List<FloatArray> {
        if (method !in methods) throw VecaError.Engine("the program has no method $method")
        return guarded("run $method") {
            // Direct buffers are handed over as they lie in memory; outputs are copied out of the program's.
            val values = inputs.map { EValue.from(Tensor.fromBlob(it.data, it.shape.map(Int::toLong).toLongArray())) }
            module.execute(method, *values.toTypedArray()).map { it.toTensor().dataAsFloatArray }
        }
    }

    /** Free the program and its weights; not while a call runs. */
    override fun close() = guarded("close the program") { module.destroy() }
}

/** What a native call throws, as one error. A library that does not fit the processor is an Error, not an Exception. */
private fun <T> guarded(what: String, call: () -> T): T = try {
    call()
} catch (error: RuntimeException) {
    throw VecaError.Engine("ExecuTorch could not $what: ${error.message?.lineSequence()?.first()}", error)
} catch (error: LinkageError) {
    throw VecaError.Engine("ExecuTorch could not $what: its native library does not load on this device", error)
}
