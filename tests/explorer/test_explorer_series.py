"""The explorer and `show --plots` of a forecaster: columns beside it, several series, intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer_browser import Chromium, Opened, number
from unrolled import cli
from unrolled.cli.explore import explorables
from unrolled.estimators.opened import open_forecaster
from unrolled.explorer import Numbers, Window
from unrolled.recipes._series import inside
from unrolled.recipes._series.predicting import batch_at

SHORT = [
    "--steps",
    "150",
    "--coverage",
    "80",
    "--horizon",
    "3",
    "--window",
    "8",
    "--hidden",
    "5",
    "--search",
    "1",
]
KINDS = {
    "alone": ["--column", "sales"],
    "beside": ["--column", "sales", "--past", "temp"],
    "groups": ["--column", "sales", "--group", "shop", "--past", "temp"],
    "ahead": ["--column", "sales", "--group", "shop", "--future", "price"],
    "two targets": ["--column", "sales", "temp"],
    "one quantile": ["--column", "sales", "temp", "--coverage"],  # the last word counts
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind, whose file is gone."""
    home = tmp_path_factory.mktemp("series")
    draw = np.random.default_rng(0)
    rows = [
        f"{date(2020, 1, 1) + timedelta(n)},{shop},{size * (9 + np.sin(n)):.3f},"
        f"{draw.normal():.2f},{draw.uniform(1, 2):.2f}"
        for shop, size in (("Nord", 1), ("Süd", 50))
        for n in range(90)
    ]
    head = "day,shop,sales,temp,price\n"
    for name, flags in KINDS.items():
        data = home / "data.csv"
        lot = rows if "--group" in flags else rows[:90]
        data.write_text(head + "\n".join(lot) + "\n", encoding="utf-8")
        words = ["train", "series", "--data", str(data), "--time", "day", *SHORT, *flags]
        assert cli.main([*words, "--out", str(home / name)]) == 0
        data.unlink()
    return {name: home / name for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_every_output_is_the_networks_own_forecast(name: str, folders: dict[str, Path]) -> None:
    opened = open_forecaster(folders[name])
    model, panel = opened.model.first, opened.kept
    found = inside.explorable(model, panel)
    if name == "alone":
        assert isinstance(found.inputs, Window)
        return
    assert isinstance(found.inputs, Numbers)
    assert {n.rpartition("to ")[0].strip() for n in found.inputs.examples} == set(panel.groups)
    for example, x in found.inputs.examples.items():
        group, _, when = example.rpartition("to ")
        of = panel.groups.index(group.strip())
        last = list(panel.timelines[of].labels).index(when)
        origin = np.array([int(panel.starts[of]) + last])
        assert found.inputs.labels[example][model.setting.window - 1] == when
        with torch.no_grad():
            right = model.spread(*batch_at(panel, origin, model.setting.context, model.horizon))
            heard = model.lstm(x[:, None])[0][:, 0]
            assert found.head is not None
            said = found.head(heard).double()
        units = found.inputs.units[example]
        base, scale = torch.tensor(units.base), torch.tensor(units.scale)
        own = base + said[units.first :] * scale if model.reads_on else base + said[-1:] * scale
        many = 3 if len(model.quantiles) > 1 else 1
        own = own.reshape(len(own), many, model.width, -1)  # [R, ends, targets, horizon or 1]
        own = own.permute(0, 3, 2, 1).reshape(model.horizon, model.width, many)
        # The forecaster puts quantiles that cross in order; the page shows them as they are.
        torch.testing.assert_close(own.sort(-1).values, right[:, 0], rtol=1e-4, atol=1e-4)
        if many > 1:
            crossed = (own[..., 0] < own[..., 1]) | (own[..., 0] > own[..., 2])
            assert crossed.double().mean() < 0.2


@pytest.mark.parametrize("name", KINDS)
def test_the_page_says_the_same_with_dates_and_units(
    name: str, folders: dict[str, Path], browser: Chromium
) -> None:
    folder = folders[name]
    assert cli.main(["explore", str(folder)]) == 0
    ((net, _, _),) = explorables(folder, "")
    page = Opened(browser, folder / "explorer.html", [net])
    page.check_values()
    assert page.text(".step .number").startswith("2020-")
    if name == "alone":
        assert "80 %, as this network has it" in page.text(".chart-legend")
    else:
        assert isinstance(net.inputs, Numbers)
        example = list(net.inputs.examples)[-1]
        page.page.click(f".picks button:text-is('{example}')")
        page.settle()
        steps = page.page.evaluate("unrolled.trace().steps")
        assert steps == list(net.inputs.labels[example])
        values = page.page.evaluate("unrolled.trace().values.at(-1)")
        units = net.inputs.units[example]
        own = units.base[-1][0] + values[0] * units.scale[-1][0]
        said = number(page.text(".editor .sum").split(",")[0])
        assert said == pytest.approx(own, rel=1e-3)
    page.close()


def test_a_window_with_a_gap_is_not_shown_as_if_it_had_none() -> None:
    values = np.array([1.0, np.nan, 3, 4, 5, np.nan, 7, 8, 9])
    assert inside._unbroken(values) == slice(6, 9)
    assert inside._unbroken(values[:5]) == slice(2, 5)


@pytest.mark.parametrize("name", ["alone", "groups", "ahead"])
def test_what_goes_on_inside_is_drawn_without_the_file(
    name: str, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["show", str(folders[name]), "--plots"]) == 0
    said = capsys.readouterr().out
    assert "data from" not in said
    assert "its change: unit" in said
    assert (folders[name] / "plots" / "states.png").stat().st_size > 5000
    assert cli.main(["try", str(folders[name]), "2"]) == (0 if name != "ahead" else 2)


def test_of_several_networks_one_that_is_heard_is_shown_and_which_is_said(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    data = tmp_path / "data.csv"
    data.write_text(
        "day,x\n"
        + "\n".join(
            f"{date(2020, 1, 1) + timedelta(n)},{9 + 4 * (n % 7 == 2) + draw.normal() / 4:.3f}"
            for n in range(200)
        )
    )
    words = ["train", "series", "--data", str(data), "--time", "day", "--steps", "60"]
    words += ["--horizon", "3", "--search", "4", "--ensemble", "2", "--hidden", "4"]
    assert cli.main([*words, "--out", str(tmp_path / "run")]) == 0
    opened = open_forecaster(tmp_path / "run")
    member, name = inside.shown(opened.model)
    assert member in opened.model.speaking
    assert not member.setting.bent
    assert name.endswith("one of 2 that are averaged")
    ((net, _, about),) = explorables(tmp_path / "run", "")
    assert net.name == name
    assert about == f"series, 4 units; {name}"
    passage = inside.passage(member, opened.kept, name)
    assert passage.following == f"the forecast of {name}"
    for one in opened.model.each:
        one.setting = replace(one.setting, bent=True)
    assert "not among those that are heard" in inside.shown(opened.model)[1]
