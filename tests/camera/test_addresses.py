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
        "http://host/a?password=x/s3cret&channel=1",
        "http://host/a?pwd=x,s3cret;s3cret",
        "http://host/a?%70assword=s3cret",
        "http://host/a?pass[]=s3cret",
        'http://host/a?q={"password":"s3cret"}',
        "http://host/a?code=s3cret",
        "http://host/a?s3cret",
        "http://host/a#id_token=s3cret",
        "rtsp://host/user=admin&password=x/s3cret&channel=1",
        "rtsp://host/user=admin_psw=s3cret_channel=1",
    ],
)
def test_passwords_are_masked(address: str) -> None:
    assert "s3cret" not in masked(address)
    assert "***" in masked(address)
    assert "host" in masked(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1]:8080/film.mp4?start=3",
        "rtsp://host/live?channel=1&subtype=0",
        "films/a@b.mp4",
        "a=1/password=2.png",
        "/dev/video0",
    ],
)
def test_other_names_stay(address: str) -> None:
    assert masked(address) == address
