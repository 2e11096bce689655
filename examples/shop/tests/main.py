"""The shop as a visitor meets it: its page in a real browser, Ctrl-C, and what it says of trouble.

`tests/run shop` runs this; with a folder as argument, screenshots go there.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from playwright.sync_api import expect, sync_playwright

SHOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SHOP.parents[1] / "deploy" / "lib"))

from servers import free_port

# Chromium asks its makers for nothing.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
PHONE = {"width": 375, "height": 740}
DESK = {"width": 1200, "height": 900}
STARTED = 300
SETTLED = 180_000


def main():
    # A shell that starts us in the background has Ctrl-C ignored, and the shop would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    screenshots = pathlib.Path(sys.argv[1]) if sys.argv[1:] else None
    arguments_are_looked_at_first()
    a_port_in_use_is_a_sentence()
    too_little_memory_is_a_sentence()
    a_missing_toolchain_is_named()
    a_service_without_kafka_says_so()
    a_terminal_that_closes_leaves_nothing()
    with shop() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            the_page_is_live(browser, url, screenshots)
            it_fits_a_phone(browser, url, screenshots)
            it_can_be_used_by_keyboard(browser, url)
        finally:
            browser.close()
    print("the shop's page: all passed")


@contextlib.contextmanager
def shop():
    """The address of a shop that runs; it must end at Ctrl-C, also if that comes twice, and leave nothing."""
    with started(["--port", str(free_port())]) as process:
        said = until(process, "Ctrl-C")
        yield re.search(r"the page +(http://\S+)", said)[1]
        with leaving_nothing(process):
            os.killpg(process.pid, signal.SIGINT)
            until(process, "ended")
            os.killpg(process.pid, signal.SIGINT)
        assert process.returncode == 0, process.returncode
    print("Ctrl-C left no process and no folder")


def a_terminal_that_closes_leaves_nothing():
    """Also while it starts."""
    with started(["--port", str(free_port())]) as process:
        until(process, "starting walbrook")
        with leaving_nothing(process):
            os.killpg(process.pid, signal.SIGHUP)
        assert process.returncode == 128 + signal.SIGHUP, process.returncode
    print("a terminal that closes leaves no process and no folder")


def the_page_is_live(browser, url, screenshots):
    page, complaints = visit(browser, url, DESK)
    records = lambda: int(page.locator("#records").inner_text().replace(",", ""))
    expect(page.locator("#connection")).to_have_text("live")
    first = records()
    wait_until(page, "records come in", lambda: first < records())
    expect(page.locator(".service")).to_have_count(6)
    wait_until(page, "events are shown", lambda: 3 < page.locator("#events li").count())
    for name, words in [
        ("Kill walbrook", "walbrook was killed"),
        ("Kill billing", "billing was killed"),
        ("Pause Kafka", "Kafka stands still"),
        ("Place 200 orders", "200 orders at once"),
        ("Run the migration", "migrated to release 2"),
    ]:
        wait_until(page, f"“{name}” can be pressed", lambda: button(page, name).is_enabled(), SETTLED)
        button(page, name).click()
        entry = page.locator("#log li").first
        expect(entry).to_contain_text(words, timeout=30_000)
        expect(entry).to_contain_text("nothing lost, nothing doubled", timeout=SETTLED)
        print(f"{name}: {entry.inner_text().splitlines()[-1]}")
    expect(page.locator("#monolith")).to_contain_text("release 2")
    expect(button(page, "Run the migration")).to_be_disabled()
    expect(page.locator("#walbrook")).to_contain_text("killed 1")
    if screenshots:
        page.wait_for_timeout(20_000)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=screenshots / f"shop-{scheme}.png", full_page=True)
    grounds = [ground(page, scheme) for scheme in ("light", "dark")]
    assert grounds[0] != grounds[1], grounds
    assert not complaints, complaints
    page.close()
    print("the page: live, by light and by dark, no word on the console")


def it_fits_a_phone(browser, url, screenshots):
    page, complaints = visit(browser, url, PHONE)
    expect(page.locator(".service")).to_have_count(6)
    wait_until(page, "events are shown", lambda: 3 < page.locator("#events li").count())
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"it is {width} pixels wide"
    if screenshots:
        page.screenshot(path=screenshots / "shop-phone.png", full_page=True)
    assert not complaints, complaints
    page.close()
    print("the page: no wider than a phone")


def it_can_be_used_by_keyboard(browser, url):
    page, complaints = visit(browser, url, DESK)
    expect(page.locator(".service")).to_have_count(6)
    names = set()
    for _ in range(10):
        page.keyboard.press("Tab")
        names.add(page.evaluate("document.activeElement.textContent"))
    assert {"Kill inventory", "Place 200 orders", "Kill walbrook", "Pause Kafka"} <= names, names
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", outline
    button(page, "Kill search").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#log li").first).to_contain_text("search was killed", timeout=30_000)
    expect(page.locator("#log li").first).to_contain_text("nothing lost", timeout=SETTLED)
    assert not complaints, complaints
    page.close()
    print("the page: used by keyboard")


def arguments_are_looked_at_first():
    for words in (["--rate", "0"], ["--rate", "nan"], ["--port", "99999"], ["--chek"]):
        with started(words) as process:
            output = process.communicate(timeout=STARTED)[0]
        assert process.returncode == 2 and output.startswith("usage: examples/shop/run"), output
    print("bad arguments: a sentence, before anything else")


def a_port_in_use_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(["--port", str(port)]) as process:
            output = process.communicate(timeout=STARTED)[0]
    assert process.returncode == 1 and "Traceback" not in output, output
    assert f"port {port}" in output and "choose another with --port" in output, output
    print("a port in use: a sentence")


def too_little_memory_is_a_sentence():
    """As if the shop took a thousand times what it takes."""
    home = pathlib.Path(os.environ.get("WALBROOK_HOME", SHOP.parents[1] / ".walbrook"))
    words = "import main; main.MEMORY *= 1000; main.main()"
    done = subprocess.run(
        [home / "python" / "bin" / "python", "-c", words, "--check"],
        cwd=SHOP / "stage", capture_output=True, text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "the shop takes up to" in done.stderr and "MB are free" in done.stderr, done.stderr
    print("too little memory: a sentence")


def a_missing_toolchain_is_named():
    """With a PATH that has all but Go."""
    with tempfile.TemporaryDirectory() as folder:
        for directory in os.environ["PATH"].split(os.pathsep):
            for program in pathlib.Path(directory).glob("*"):
                link = pathlib.Path(folder) / program.name
                if program.name != "go" and not link.exists() and not link.is_symlink():
                    link.symlink_to(program)
        with started([], PATH=folder) as process:
            output = process.communicate(timeout=STARTED)[0]
    assert process.returncode == 1 and "Traceback" not in output, output
    assert "please install Go 1." in output and "https://go.dev/dl" in output, output
    print("a missing toolchain: named, with its version and where it is")


def a_service_without_kafka_says_so():
    """Each says it in one line, and goes on."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
        services = {}
        for name in sorted(os.listdir(SHOP / "services")):
            words = subprocess.check_output(
                [SHOP.parents[1] / "deploy" / "program", SHOP / "services" / name], text=True
            ).splitlines()
            store = pathlib.Path(folder) / name
            nobody = f"127.0.0.1:{free_port()}"
            words += ["--bootstrap", nobody, "--registry", f"http://{nobody}"]
            words += ["--port", str(free_port()), "--store", str(store)]
            log = open(f"{store}.log", "w+")
            services[name] = subprocess.Popen(words, stdout=log, stderr=log), nobody, log
            ending.callback(log.close)
            # The last comes first: before its folder goes, it has ended.
            ending.callback(services[name][0].wait)
            ending.callback(services[name][0].kill)
        for name, (process, nobody, log) in services.items():
            deadline = time.monotonic() + 60
            while not (said := pathlib.Path(log.name).read_text()):
                assert time.monotonic() < deadline, f"{name} says nothing"
                time.sleep(0.2)
            assert process.poll() is None, (name, said)
            assert re.fullmatch(rf"{name}: .*{nobody}.*\n", said), (name, said)
    print("services without Kafka: one sentence each, and they go on")


@contextlib.contextmanager
def started(arguments, **environment):
    """examples/shop/run in a process group of its own, as a terminal has it; it ends with the block, and with us."""
    with tempfile.TemporaryDirectory(prefix="walbrook-shop-test-") as folder:
        # As root, PostgreSQL runs as nobody.
        os.chmod(folder, 0o755)
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", SHOP / "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"TMPDIR": folder} | environment,
            start_new_session=True,
        )
        process.folder = folder
        try:
            yield process
        finally:
            end(process)


def end(process):
    """It and all that it has started, if something went wrong."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)


def until(process, words):
    """What it says until it has said that."""
    # It may also say nothing at all.
    timer = threading.Timer(STARTED, os.killpg, (process.pid, signal.SIGTERM))
    timer.start()
    said = ""
    try:
        for line in process.stdout:
            said += line
            if words in line:
                return said
    finally:
        timer.cancel()
    raise AssertionError(f"it ended without {words!r}:\n{said}")


@contextlib.contextmanager
def leaving_nothing(process):
    """It ends by what is done in the block, quietly, with all that it has started, and its folder."""
    children = descendants(process.pid)
    yield
    rest = process.communicate(timeout=60)[0]
    assert "Traceback" not in rest, rest
    assert 2 < len(children), children
    left = [pid for pid in children if pathlib.Path(f"/proc/{pid}").exists()]
    assert not left, left
    assert not os.listdir(process.folder), os.listdir(process.folder)


def visit(browser, url, size):
    """The page in a new window, and what the console complains of."""
    page = browser.new_page(viewport=size)
    complaints = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    return page, complaints


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def ground(page, scheme):
    page.emulate_media(color_scheme=scheme)
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def wait_until(page, what, holds, limit=60_000):
    deadline = time.monotonic() + limit / 1000
    while not holds():
        assert time.monotonic() < deadline, f"waited for: {what}"
        page.wait_for_timeout(200)


def descendants(pid):
    """All processes that this one has started, and those that they have."""
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for word in child.read_text().split():
            found += [int(word), *descendants(int(word))]
    return found


if __name__ == "__main__":
    main()
