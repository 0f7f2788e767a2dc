package ai.vecaedge

import ai.vecaedge.runtime.Floats
import ai.vecaedge.runtime.Json
import ai.vecaedge.runtime.Program
import java.io.DataInputStream
import java.io.DataOutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The real program of a model file, run by a Python child (`tests/apps/program_server.py`): ExecuTorch has no Java
 * binding outside of Android. Everything else of the end-to-end checks is this library's own code.
 *
 * A message is its length, a JSON text, and the numbers that the text announces: float32, little-endian.
 */
class PythonProgram(command: List<String>) : Program {
    private val child = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val input = DataInputStream(child.inputStream.buffered())
    private val output = DataOutputStream(child.outputStream.buffered())

    override val methods: Set<String> = receive().texts("methods").toSet()

    override fun run(method: String, inputs: List<Floats>): List<FloatArray> {
        val text = Json.write(mapOf("method" to method, "shapes" to inputs.map { it.shape })).toByteArray()
        output.writeInt(text.size)
        output.write(text)
        for (tensor in inputs) {
            val bytes = ByteBuffer.allocate(4 * tensor.data.capacity()).order(ByteOrder.LITTLE_ENDIAN)
            bytes.asFloatBuffer().put(tensor.data.duplicate().apply { clear() })
            output.write(bytes.array())
        }
        output.flush()
        val answer = receive()
        if ("error" in answer) throw VecaError.Engine(answer.text("error"))
        return answer.ints("sizes").map { size ->
            val bytes = ByteArray(4 * size).also(input::readFully)
            FloatArray(size).also { ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(it) }
        }
    }

    override fun close() {
        output.close() // the child ends with its input
        child.waitFor()
    }

    private fun receive(): Table {
        val text = ByteArray(input.readInt()).also(input::readFully)
        return Table(Json.parse(String(text)) as Map<*, *>)
    }
}
