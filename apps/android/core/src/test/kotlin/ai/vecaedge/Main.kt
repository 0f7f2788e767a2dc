package ai.vecaedge

import java.io.File
import kotlin.system.exitProcess

/**
 * The tests of the pure part. Arguments are `NAME=VALUE`: `golden=` (the folder of golden files) and `folder=` (to
 * write in) are needed; `model=` adds the checks of a model file, and `command=` (Python, the server, the model;
 * separated by tabs) with `photos=` or `frames=` the ones that run it; `only=` names the suites to run.
 */
fun main(arguments: Array<String>) {
    val given = arguments.associate { it.substringBefore('=') to it.substringAfter('=') }
    val golden = File(given.getValue("golden"))
    val folder = File(given.getValue("folder"))
    val suites = linkedMapOf<String, Checks.() -> Unit>(
        "governor" to { governor(golden) },
        "preprocessing" to { preprocessing(golden) },
        "patches" to { patches(golden) },
        "change" to { change(golden) },
        "stream" to { stream(golden) },
        "results" to { results(golden) },
        "dense" to { dense(golden) },
        "gallery" to { gallery(golden, folder) },
        "sensors" to { sensors() },
        "session" to { session(folder) },
    )
    val model = given["model"]?.let(::File)
    val command = given["command"]?.split("\t").orEmpty()
    if (model != null) suites["files"] = { files(model, folder) }
    given["photos"]?.let { suites["photos"] = { photos(model!!, command, golden, File(it)) } }
    given["frames"]?.let { suites["clip"] = { clip(model!!, command, File(it), File(folder, "clip.jsonl")) } }
    val wanted = given["only"]?.split(",") ?: suites.keys
    val passed = wanted.map { Checks(it).report(suites.getValue(it)) }
    exitProcess(if (passed.all { it }) 0 else 1)
}
