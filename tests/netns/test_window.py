"""The window of a lab as a student sees it, in a real browser. The tests share one lab and one page, in this
order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from ikepy.lab.bed import Lab
from ikepy.lab.netns import LabError
from ikepy.lab.state import Options
from tests.netns.namespaces import wait_until
from tests.netns.window import Page
from tests.netns.window import page as opened

pytestmark = [pytest.mark.root, pytest.mark.chromium]

OPTIONS = Options(nat=True, keylog=True, web=True)

# Each element with text of its own, with the contrast of its colour to what is behind it (WCAG 2.1, 1.4.3).
CONTRASTS = """
const channel = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const parse = (text) => {
  const found = (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  return { rgb: found.slice(0, 3), alpha: found[3] ?? 1 };
};
const light = (rgb) => rgb.map((one) => channel(one / 255))
  .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
const over = (top, below) => top.rgb.map((one, place) => one * top.alpha + below[place] * (1 - top.alpha));
function behind(element) {
  const layers = [];
  for (let one = element; one; one = one.parentElement) {
    const style = getComputedStyle(one);
    const box = one.querySelector?.(":scope > .box");
    layers.push(parse(style.backgroundColor));
    if (box) layers.push(parse(getComputedStyle(box).fill));
  }
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
}
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.getClientRects().length || element.closest("defs, noscript, title, option")) continue;
  const style = getComputedStyle(element);
  const ground = behind(element);
  let opacity = 1;
  for (let one = element; one; one = one.parentElement) opacity *= Number(getComputedStyle(one).opacity);
  const colour = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
  const text = over({ rgb: colour.rgb, alpha: colour.alpha * opacity }, ground);
  const [high, low] = [light(text), light(ground)].sort((one, other) => other - one);
  found.push([(high + 0.05) / (low + 0.05), `${element.tagName}.${element.className.baseVal ??
  element.className}: ${element.textContent.slice(0, 40)}`]);
}
return found;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    try:
        Lab(OPTIONS).require()
    except LabError as error:
        pytest.skip(str(error))
    with opened(tmp_path_factory.mktemp("window"), OPTIONS) as found:
        yield found


def rungs(page: Page) -> list[str]:
    return [text.split("\n")[0] for text in page.texts(".rung .title")]


def test_the_ladder_appears(page: Page) -> None:
    page.one(".rung .title", "IKE_AUTH response 1")
    assert [text.partition("  ")[0][:22].strip() for text in rungs(page)[:2]] == [
        "IKE_SA_INIT request 0",
        "IKE_SA_INIT response 0",
    ]
    assert page.one("#node-cgw .badge", "ESTABLISHED")
    ways = page.script("return [...document.querySelectorAll('.crossing')].map((one) => one.className)")
    assert isinstance(ways, list)
    assert [("right" in one, "left" in one) for one in ways[:2]] == [(True, False), (False, True)]
    assert all(float(text) >= 0 for text in page.texts(".crossing time")[:4])


def test_a_click_opens_payloads_and_octets(page: Page) -> None:
    page.click(".rung")
    page.one(".detail h2", "IKE_SA_INIT request 0")
    (sa,) = page.lab.gateway("cgw").list_sas()
    page.click(".field-name", "Security Association")
    page.click(".field-name", "Proposal")
    page.click(".field-name", "IKE header")
    page.click(".field-name", "Initiator's SPI")
    chosen = page.script(
        "return [...document.querySelectorAll('.hex .chosen')].map((one) => one.textContent).join('')"
    )
    assert chosen == sa["spi_i"]
    assert "RFC 7296" in page.one(".explain .rfc").text
    assert "NAT" not in page.one(".explain").text


def test_a_decrypted_field_is_right(page: Page) -> None:
    page.click(".rung .title", "IKE_AUTH request 1")
    page.one(".detail h2", "IKE_AUTH request 1")
    page.one(".finding", "AUTH of the initiator is right")
    page.click(".field-name", "Identification - Initiator")
    page.click(".field-name", "Identity")
    signs = page.script(
        "return [...document.querySelectorAll('.hex .chosen')].map((one) => one.textContent).join('')"
    )
    assert bytes.fromhex(str(signs)) == b"cgw.ikepy.example"
    assert "RFC 7296" in page.one(".explain .rfc").text
    page.click(".rung .title", "IKE_SA_INIT request 0")
    page.one(".detail h2", "IKE_SA_INIT request 0")


def test_each_end_has_its_view(page: Page) -> None:
    rows = page.texts(".views tbody tr")
    assert "10.0.0.10[500]" in rows[0]  # before the NAT
    assert "192.0.2.10[" in rows[1]  # and behind it


def test_field_and_octets_light_up_together(page: Page) -> None:
    page.click(".field-name", "IKE header")
    field = page.one(".field", "Exchange type")
    ActionChains(page.driver).move_to_element(field).perform()
    assert page.texts(".hex .pointed") == ["22"]  # 34, IKE_SA_INIT
    octet = page.all(".hex [data-place='20']")[0]  # of the message ID
    ActionChains(page.driver).move_to_element(octet).perform()
    assert page.one(".field.pointed", "Message ID")


def test_a_dropped_message_is_sent_again(page: Page) -> None:
    page.click("[data-action=drop]")
    page.one(".outcomes", "drop the next 1 IKE")
    before = len(page.all(".rung"))
    page.click("[data-action=rekey_child]")
    page.one(".crossing.lost em", "dropped on the way")
    page.one(".outcomes", "cgw has rekeyed the CHILD_SA")
    page.one(".rung .title", "CREATE_CHILD_SA")
    assert len(page.all(".rung")) > before
    page.one(".rung:has(.lost) .crossing.arrived")
    page.one(".rung:has(.lost) .mark", "2 datagrams")


def test_a_corrupted_message_counts_as_lost(page: Page) -> None:
    page.click("[data-action=corrupt]")
    page.one(".outcomes", "corrupt the next 1 IKE")
    page.click("[data-action=rekey_ike]")
    page.one(".crossing.changed em", "one bit is changed on the way")
    page.one(".outcomes", "cgw has rekeyed the IKE_SA")
    page.one(".rung:has(.changed) .crossing.arrived:not(.changed)")


def test_a_wrong_secret_is_refused_and_mended(page: Page) -> None:
    page.click("[data-action=wrong_psk]")
    page.one(".outcomes", "AUTHENTICATION_FAILED")
    assert page.one("#node-cgw .badge", "no SA")
    page.click("[data-action=mend]")
    page.one(".outcomes", "all is as it was")
    page.one("#node-cgw .badge", "ESTABLISHED")


def spis(page: Page) -> set[str]:
    return {child["spi_in"] for child in page.lab.gateway("cgw").children() if child["state"] == "INSTALLED"}


def test_both_rekey_at_once_and_one_child_is_left(page: Page) -> None:
    before = spis(page)
    page.click("[data-action=rekey_both]")
    page.one(".outcomes", "cgw has rekeyed the CHILD_SA; c4 has rekeyed the CHILD_SA")
    wait_until(lambda: len(spis(page)) == 1, "one child is left", timeout=20)
    assert spis(page) != before


def test_a_killed_worker_takes_its_sas_along(page: Page) -> None:
    before = spis(page)
    page.click("[data-action=kill_worker]")
    page.one(".outcomes", "of cgw is killed")
    wait_until(lambda: bool(spis(page)) and not spis(page) & before, "a new child", timeout=30)


def test_the_nat_forgets_and_the_peer_follows(page: Page) -> None:
    page.click("[data-action=rebind]")
    page.one(".outcomes", "the NAT has forgotten")

    def moved() -> bool:
        found = {sa["remote"] for sa in page.lab.gateway("c4").list_sas()}
        return bool(found) and "192.0.2.10[4500]" not in found

    wait_until(moved, "c4 sends to the new mapping", timeout=20)


def test_down_and_up(page: Page) -> None:
    page.click("[data-action=terminate]")
    page.one(".outcomes", "the IKE_SA is deleted")
    page.one("#node-c4 .badge", "no SA")
    page.click("[data-action=initiate]")
    page.one(".outcomes", "the tunnel is up")
    page.one("#node-c4 .badge", "ESTABLISHED")


def test_every_export_is_served(page: Page) -> None:
    names = [str(one.get_attribute("href")) for one in page.all("#export a")]
    assert len(names) == 7
    sizes = page.script(
        "return Promise.all(arguments[0].map(async (one) => (await (await "
        "fetch(one)).arrayBuffer()).byteLength))",
        names,
    )
    assert isinstance(sizes, list)
    assert min(sizes) > 500


def test_a_ping_is_followed(page: Page) -> None:
    page.click("#tab-way")
    page.click("#follow")
    page.one(".hop", "pod1 has its answer")
    places = [" ".join(text.split("\n")[0].split()[1:4]) for text in page.texts(".hop")]
    assert places[:6] == [
        "pod1 vxeth0 out",
        "pod1 eth0 out",
        "cgw eth1 in",
        "cgw vxeth0 in",
        "cgw vti0 out",
        "cgw eth0 out",
    ]
    assert "site eth0 in" in places
    assert places[-1] == "pod1 vxeth0 in"


def test_esp_is_opened_on_the_way(page: Page) -> None:
    page.click(".hop b", "cgw eth0")
    page.click("#way .pill", "Inner packet")
    page.one("#way .field-name", "ICMP")
    page.click("#way .pill", "ESP packet")
    page.click("#way .field-name", "Sequence number")
    assert page.one("#way .explain .rfc", "RFC 4303 2.2")


def test_the_keys_are_derived(page: Page) -> None:
    page.click("#tab-keys")
    page.one(".step h3", "SKEYSEED")
    pieces = page.texts(".piece b")
    assert pieces[:5] == ["SK_d", "SK_ei", "SK_er", "SK_pi", "SK_pr"]
    log = (page.lab.directory / "cgw" / "keys" / "ikepy_keys").read_text()
    octets = page.texts(".piece code")
    assert all(f'"{key}"' in log for key in octets[:5])
    page.one(".step h3", "AUTH of the responder")
    page.one(".key-group h2", "CHILD_SA")


def test_the_simulation_is_stepped(page: Page) -> None:
    page.click("#tab-simulation")
    page.click("#simulation .primary")
    page.one(".told", "all laws hold")
    assert len(page.all(".steps li")) > 100
    page.click("#simulation button", "Forward")
    page.click("#simulation button", "Forward")
    page.click("#simulation button", "Back")
    current = page.one(".steps [aria-current]")
    assert current == page.all(".steps li")[1]
    page.one("#simulation .hop-detail h2", "IKE_SA_INIT request 0")


def test_by_keyboard_alone(page: Page) -> None:
    page.one("#tab-simulation").send_keys(Keys.HOME)
    assert page.one("#tab-ladder").get_attribute("aria-selected") == "true"
    page.script("document.querySelector('.rung').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.one(".detail h2", "IKE_SA_INIT response 0")
    tree = page.one(".tree [tabindex='0']")
    tree.send_keys(Keys.ARROW_DOWN)
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.driver.switch_to.active_element.get_attribute("aria-expanded") == "true"
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert page.one(".explain", "Initiator's SPI")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.one(".detail").is_displayed()
    assert "IKE_SA_INIT" in page.driver.switch_to.active_element.text


@pytest.mark.parametrize("tab", ["ladder", "keys", "way", "simulation"])
def test_contrast_is_sufficient(page: Page, tab: str) -> None:
    page.click(f"#tab-{tab}")
    found = page.script(CONTRASTS)
    assert isinstance(found, list)
    assert len(found) > 20
    assert [text for ratio, text in found if ratio < 4.5] == []


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.script(
        "return [...document.querySelectorAll('button, input, select, a, summary')].filter((one) => "
        "!(one.textContent.trim() || one.ariaLabel || one.labels?.length)).map((one) => one.outerHTML)"
    )
    assert nameless == []


def test_nothing_is_complained_of(page: Page) -> None:
    assert page.complaints() == []
