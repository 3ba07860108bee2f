"""The integration of Home Assistant, against the real function and the stand-in for Garmin.

    /phacc/bin/python -m pytest -c tests/home_assistant/pytest.ini tests/home_assistant

It needs Home Assistant's test harness (pytest-homeassistant-custom-component), so the other tests leave it out.
"""
