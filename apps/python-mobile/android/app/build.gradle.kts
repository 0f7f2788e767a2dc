plugins {
    id("com.android.application")
    id("com.chaquo.python")
}

android {
    namespace = "ai.vecaedge.check"
    compileSdk = 35
    defaultConfig {
        applicationId = "ai.vecaedge.check"
        minSdk = 24 // Chaquopy's least
        targetSdk = 35
        versionCode = 1
        versionName = "0.1"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

chaquopy {
    defaultConfig {
        version = "3.12"
        pip {
            install("numpy")
            // Made on the desktop: `pip wheel --no-deps --wheel-dir apps/python-mobile/android/app .`
            install(fileTree(projectDir) { include("veca_edge-*.whl") }.singleFile.name)
        }
    }
    sourceSets {
        getByName("main") { srcDir("../../shared") }
    }
}

dependencies {
    // No older than the ExecuTorch that wrote the file (`unzip -p model.pte manifest.json`, made_with).
    implementation("org.pytorch:executorch-android:1.4.1")
}
