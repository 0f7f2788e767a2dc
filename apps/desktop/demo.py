"""A camera or a clip with labels, over veca-edge and plain OpenCV. Press q to quit.

python apps/desktop/demo.py                    # camera 0
python apps/desktop/demo.py clip.mp4 --headless
"""

from __future__ import annotations

import sys

import cv2

import veca_edge


def main(source: int | str, headless: bool) -> None:
    stream = veca_edge.load().stream(cores=32)
    video = cv2.VideoCapture(source)
    while True:
        there, frame = video.read()
        if not there:
            break
        result = stream.update(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        label = result.top(1)[0].label if result.sure else "not sure"
        line = f"{label}, {result.computed.sum()} patches, {1000 * result.latency:.1f} ms"
        if headless:
            print(line)
            continue
        cv2.putText(frame, line, (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        cv2.imshow("veca-edge", frame)
        if cv2.waitKey(1) == ord("q"):
            break
    video.release()


if __name__ == "__main__":
    names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    main(names[0] if names else 0, "--headless" in sys.argv)
