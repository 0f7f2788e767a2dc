"""Addresses are shown without their passwords."""

from __future__ import annotations

import pytest

from veca_edge.camera.addresses import masked


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://me:s3cret@host/cam",
        "rtsp://me:pa/s3cret@host/cam",
        "rtsp://me:p?s3cret#@@host:554/cam",
        "rtsp:/me:s3cret@host/cam",
        "me:s3cret@host/cam",
        "rtsp://host/user=admin&password=s3cret&channel=1",
        "rtsp://host/user=admin_password=s3cret_channel=1",
        "http://host/film.mp4?x=1&token=s3cret",
        "http://host/film.mp4?access_token=s3cret#end",
        "http://host/a;PWD=s3cret;b",
        "http://host/a?api-key=s3cret",
    ],
)
def test_passwords_are_masked(address: str) -> None:
    assert "s3cret" not in masked(address)
    assert "***" in masked(address)
    assert "host" in masked(address)


@pytest.mark.parametrize(
    "address", ["http://[::1]:8080/film.mp4?start=3", "films/a@b.mp4", "a=1/password=2.png", "/dev/video0"]
)
def test_other_names_stay(address: str) -> None:
    assert masked(address) == address
