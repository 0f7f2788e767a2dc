plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
    alias(libs.plugins.kotlin.compose)
}

android {
    namespace = "ai.vecaedge.sample"
    compileSdk = 36
    defaultConfig {
        applicationId = "ai.vecaedge.sample"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "0.1"
        // What ExecuTorch's package has libraries for.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    buildFeatures { compose = true }
    // The model is copied out of the assets; compressed it would only take longer.
    androidResources { noCompress += "pte" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    // The check screen's photos and vectors are the repository's own.
    sourceSets["main"].assets.srcDirs(
        "src/main/assets", "../../../veca_edge/assets/photos", layout.buildDirectory.dir("golden").get().asFile,
    )
}

kotlin { jvmToolchain(17) }

// Only the one file: the folder holds the tests' generators too.
val golden by tasks.registering(Copy::class) {
    from("../../../tests/golden/end-to-end.json")
    into(layout.buildDirectory.dir("golden"))
}

tasks.named("preBuild") { dependsOn(golden) }

dependencies {
    implementation(project(":vecaedge"))
    implementation(libs.camera.camera2)
    implementation(libs.camera.lifecycle)
    implementation(libs.camera.view)
    implementation(platform(libs.compose.bom))
    implementation(libs.compose.material3)
    implementation(libs.activity.compose)
    implementation(libs.androidx.core)
}
