from fwdecg.training.recipe import Recipe


def test_settings_replace_the_named_keys():
    settings = {
        "model.hidden_size": 64,
        "model.channels": [4, 8],
        "training.loss.spectral_weight": 2,
    }
    changed = Recipe().with_settings(settings)
    assert changed.model.hidden_size == 64
    assert changed.model.channels == (4, 8)
    assert changed.training.loss.spectral_weight == 2.0
    assert changed.training.loss.huber_delta == Recipe().training.loss.huber_delta
