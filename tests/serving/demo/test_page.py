"""The page in Chromium, without a window. Needs gradio and selenium (`make test-demo`), as no other test does."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hub_server import TOKEN, USER, running_hub
from huggingface_hub import HfApi, constants
from PIL import Image
from serving_models import ANSWERING, AUXILIARY, save, serving_model

pytest.importorskip("gradio", reason="pip install 'hf_hmtl[demo]'")
webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from hf_hmtl.commands import demo  # noqa: E402
from hf_hmtl.serving.demo.showing import drawn_examples  # noqa: E402
from hf_hmtl.serving.predict import pipeline_of  # noqa: E402

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
SECONDS = 120
SHOTS = os.environ.get("HF_HMTL_SCREENSHOTS")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a model with all heads."""
    model = serving_model(heads=ANSWERING | AUXILIARY, side=64, learned_from=["drawn"])
    return save(model, tmp_path_factory.mktemp("model") / "mine")


@contextlib.contextmanager
def served(*program, cwd=ROOT, **environment):
    """The address of a page, in a process of its own, which is told to end at the end."""
    command = [sys.executable, "-u", *program, "--host", "127.0.0.1", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(cwd)} | environment
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next((line for line in process.stdout if "http://" in line), "")
            yield re.search(r"http://127\.0\.0\.1:\d+", line).group()
            process.terminate()
            process.wait(SECONDS)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def address(folder):
    """Of its page."""
    with served("-m", "hf_hmtl", "demo", str(folder)) as address:
        yield address


@contextlib.contextmanager
def chromium(profile, *flags):
    """A browser without a window."""
    options = webdriver.ChromeOptions()
    for each in ("--headless=new", "--no-sandbox", f"--user-data-dir={profile}", "--window-size=1300,1000", *flags):
        options.add_argument(each)
    driver = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
    service = webdriver.ChromeService(driver) if Path(driver).is_file() else None
    browser = webdriver.Chrome(options=options, service=service)
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def browser_with_camera(tmp_path):
    """Its camera sees a drawn face, and its user allows it."""
    film = tmp_path / "camera.y4m"
    frame = np.full((480, 640, 3), 127, np.uint8)
    frame[:, 80:560] = cv2.resize(drawn_examples()[2], (480, 480))
    frame = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes()
    film.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + 10 * (b"FRAME\n" + frame))
    flags = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    with chromium(tmp_path / "profile", *flags, f"--use-file-for-fake-video-capture={film}") as browser:
        yield browser


def wait(browser, condition):
    return WebDriverWait(browser, SECONDS).until(condition)


def opened(browser, address):
    browser.get(address)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".gallery-item img"))
    return browser


def said(browser):
    return browser.find_element(By.CSS_SELECTOR, ".hmtl").text


def shot(browser, name):
    """For whoever wants to look: HF_HMTL_SCREENSHOTS=FOLDER."""
    if SHOTS:
        browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def show_a_drawing(browser):
    browser.find_elements(By.CSS_SELECTOR, ".gallery-item")[2].click()
    wait(browser, lambda b: "tiles are where they belong" in said(b))


def upload(browser, path):
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(path))


def test_a_drawing_is_shown_with_everything(browser, address):
    opened(browser, address)
    assert "Drop a photograph" in said(browser)
    shot(browser, "empty")
    show_a_drawing(browser)
    shot(browser, "drawing")
    assert "learned from faces drawn by code alone" in said(browser)
    for name in ("emotion", "pose", "valence", "Where the network looks", "The puzzle"):
        assert name in said(browser)
    images = browser.find_elements(By.CSS_SELECTOR, ".hmtl img")
    assert len(images) == 4
    assert all(browser.execute_script("return arguments[0].naturalWidth", image) for image in images)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_drawing_is_taken_as_one_face_until_the_tick_is_taken_away(browser, address, folder):
    analyse = pipeline_of(folder, device="cpu")
    (entry,) = analyse(drawn_examples()[2], detect=False)
    show_a_drawing(opened(browser, address))
    wait(browser, lambda b: f"{entry['yaw']:.2f} degrees" in said(b))
    tick = browser.find_element(By.CSS_SELECTOR, "input[type=checkbox]")
    assert tick.is_selected()
    tick.click()
    found = analyse(drawn_examples()[2])
    expected = f"{found[0]['yaw']:.2f} degrees" if found else "No face was found."
    wait(browser, lambda b: expected in said(b))


def test_the_puzzle_is_shuffled_again(browser, address):
    show_a_drawing(opened(browser, address))

    def shuffled():
        return browser.find_element(By.CSS_SELECTOR, ".hmtl .pair img").get_attribute("src")

    before = shuffled()
    browser.find_element(By.XPATH, "//button[contains(., 'Shuffle')]").click()
    wait(browser, lambda _: shuffled() != before)


def test_a_phone_shows_it_without_scrolling_sideways(browser, address):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    show_a_drawing(opened(browser, address))
    shot(browser, "phone")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("face.png", b"no picture at all", "not an image that Pillow reads, or a damaged one"),
        ("empty.png", b"", "the image is empty (0 bytes)"),
        ("wall.png", None, "No face was found."),
    ],
)
def test_what_cannot_be_shown_gets_a_sentence(browser, address, tmp_path, name, content, sentence):
    path = tmp_path / name
    Image.new("RGB", (200, 150), (90, 120, 140)).save(path) if content is None else path.write_bytes(content)
    opened(browser, address)
    upload(browser, path)
    wait(browser, lambda b: sentence in said(b))
    shot(browser, f"refused_{path.stem}")
    assert "Traceback" not in browser.page_source


def test_the_camera_is_looked_through(browser_with_camera, address):
    browser = opened(browser_with_camera, address)
    for button in ("[aria-label='Capture from camera']", "[title='grant webcam access'] button", ".photo-capture"):
        wait(browser, lambda b, button=button: b.find_elements(By.CSS_SELECTOR, button))[0].click()
    wait(browser, lambda b: "No face was found. If the picture is one face" in said(b))
    shot(browser, "camera")
    browser.find_element(By.CSS_SELECTOR, "input[type=checkbox]").click()
    wait(browser, lambda b: "tiles are where they belong" in said(b))
    shot(browser, "camera_one_face")


def test_an_upload_is_gone_when_the_page_ends(browser, folder, tmp_path):
    place, photograph = tmp_path / "temporary", tmp_path / "my_photograph.png"
    place.mkdir()
    Image.new("RGB", (200, 150), (90, 120, 140)).save(photograph)
    with served("-m", "hf_hmtl", "demo", str(folder), TMPDIR=str(place)) as address:
        opened(browser, address)
        upload(browser, photograph)
        wait(browser, lambda b: "No face was found." in said(b))
        assert list(place.rglob("my_photograph.png"))  # Gradio writes it
    assert not list(place.rglob("*.png"))


def test_a_space_shows_what_was_pushed(browser, folder, tmp_path, monkeypatch):
    """The branch with the training heads, from a Hub in memory, by the package that the folder holds."""
    with running_hub() as hub:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        api = HfApi(endpoint=hub.url, token=TOKEN)
        api.create_repo(f"{USER}/mine")
        api.create_branch(f"{USER}/mine", branch="with-heads")
        api.upload_folder(repo_id=f"{USER}/mine", folder_path=folder, revision="with-heads")
        demo.run([f"{USER}/mine", "--revision", "with-heads", "--space", str(tmp_path / "space")])
        reached = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
        with served("app.py", cwd=tmp_path / "space", HF_HUB_DISABLE_XET="1", **reached) as address:
            show_a_drawing(opened(browser, address))
