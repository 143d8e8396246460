"""The window of a lab in a real browser: the lab, its server in a thread, and one headless Chromium."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from ikepy.lab.bed import Lab
from ikepy.lab.state import Options
from ikepy.web.lab.serve import serve

PATIENCE = 30.0  # seconds for what a page is to show
SIZE = (1360, 940)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *(
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ),
    *(f"--window-size={SIZE[0]},{SIZE[1]}", "--force-device-scale-factor=1"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page in the browser."""

    driver: webdriver.Chrome
    lab: Lab

    def all(self, selector: str) -> list[WebElement]:
        """The elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str, text: str = "") -> WebElement:
        """The first element with this text in it, waited for."""

        def found(_: webdriver.Chrome) -> list[WebElement]:
            return [one for one in self.all(selector) if text in one.text]

        wait = WebDriverWait(
            self.driver, PATIENCE, 0.1, [StaleElementReferenceException]
        )  # it was drawn anew
        return wait.until(found, f"no {selector} with {text!r}")[0]

    def texts(self, selector: str) -> list[str]:
        """The texts of all such elements at one moment."""
        found = self.script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector
        )
        assert isinstance(found, list)
        return found

    def click(self, selector: str, text: str = "") -> None:
        """Click the first such element, from the middle of what scrolls."""
        for last in (False, False, True):
            try:
                element = self.one(selector, text)
                self.script("arguments[0].scrollIntoView({ block: 'center' })", element)
                element.click()
                return
            except (StaleElementReferenceException, ElementClickInterceptedException):
                if last:  # else it was drawn anew, or moved, just then
                    raise

    def script(self, text: str, *arguments: object) -> object:
        """What a script returns."""
        return self.driver.execute_script(text, *arguments)

    def complaints(self) -> list[str]:
        """What the browser's console says."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries]


@contextmanager
def page(directory: Path, options: Options) -> Iterator[Page]:
    """A lab with its window open in a browser."""
    with _served(directory, options) as (lab, address), _browser(directory) as driver:
        driver.get(address)
        yield Page(driver, lab)


@contextmanager
def _served(directory: Path, options: Options) -> Iterator[tuple[Lab, str]]:
    lab = Lab(options, f"ikw-{os.getpid()}-", directory / "lab")
    told: list[str] = []
    spoken = threading.Event()
    errors: list[BaseException] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def say(text: str) -> None:
        told.append(text)
        if "is up" in text or "no tunnel" in text:
            spoken.set()

    async def run() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        await serve(lab, 0, say, stop)

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # for the test's own thread
            errors.append(error)
        finally:
            spoken.set()

    serving = threading.Thread(target=thread)
    try:
        lab.build()
        serving.start()
        assert spoken.wait(PATIENCE + 20)
        assert not errors, errors
        yield lab, next(word for text in told for word in text.split() if word.startswith("http://"))
    finally:
        for loop, stop in loops:
            loop.call_soon_threadsafe(stop.set)
        if serving.ident is not None:
            serving.join(PATIENCE)
        lab.down()


@contextmanager
def _browser(directory: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*_FLAGS, f"--user-data-dir={directory / 'browser'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
