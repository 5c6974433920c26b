"""Which leads of a recording no law of circuits derives from the others."""

from collections.abc import Sequence

from skagile.leads._limb import limb_leads, sources


def independent_leads(lead_names: Sequence[str]) -> list[str]:
    """Say which leads are independent: of the limb leads two, which determine the others, and all that are none.

    Parameters
    ----------
    lead_names : sequence of str
        Names of the leads of a recording, however they are written: "aVR", "AVR" and "Lead aVR" are one lead, "-aVR" is
        the same inverted, and "MLII" and "DII" are taken for "II".

    Returns
    -------
    list of str
        Names as they were given, in that order. Of the limb leads the first two of I, II, III, aVF, aVL and aVR that
        are there. Other leads (V1 to V6, Frank's, a respiration) are independent, whatever they are called.

    Raises
    ------
    TypeError
        If `lead_names` is no sequence of texts.
    ValueError
        For a limb lead that is named twice, and for one with the electrodes on the chest (MLII) beside one with them on
        the limbs (I): no law holds between the two.

    See Also
    --------
    derive_leads : Makes the others from them.

    Examples
    --------
    >>> from skagile.leads import independent_leads
    >>> independent_leads(["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"])
    ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']
    >>> independent_leads(["avl", "-avr", "iii"])
    ['avl', 'iii']
    """
    limb = limb_leads(lead_names)
    dependent = set(limb.rows.tolist()) - {int(limb.rows[place]) for place in sources(limb.laws)}
    return [name for row, name in enumerate(lead_names) if row not in dependent]
