package ai.vecaedge.check;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Bundle;
import android.widget.ScrollView;
import android.widget.TextView;
import com.chaquo.python.Python;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/** One screen of text: what the golden check says on this phone. Python does the rest, in check_app.py. */
public final class MainActivity extends Activity {
    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        TextView text = new TextView(this);
        ScrollView scroll = new ScrollView(this);
        scroll.addView(text);
        setContentView(scroll);
        text.setText("…");
        new Thread(() -> show(text), "veca-edge").start();
    }

    /** Not on the main thread: opening the model and nine calls take seconds. */
    private void show(TextView text) {
        String found;
        try {
            found = Python.getInstance().getModule("check_app").callAttr("report", this).toString();
        } catch (RuntimeException error) {
            found = String.valueOf(error.getMessage());
        }
        String shown = found;
        runOnUiThread(() -> text.setText(shown));
    }

    /** The pixels of a photo among the assets: width and height, four bytes each, then red, green, blue and alpha. */
    public byte[] photo(String name) throws IOException {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inScaled = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        try (InputStream stream = getAssets().open(name)) {
            Bitmap bitmap = BitmapFactory.decodeStream(stream, null, options);
            if (bitmap == null) {
                throw new IOException(name + " is no picture");
            }
            ByteBuffer bytes = ByteBuffer.allocate(8 + bitmap.getByteCount());
            bytes.putInt(bitmap.getWidth()).putInt(bitmap.getHeight());
            bitmap.copyPixelsToBuffer(bytes);
            bitmap.recycle();
            return bytes.array();
        }
    }
}
