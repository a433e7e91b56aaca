"""What the board says, Dutch first and English beside it; the codes of the chain are keys, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.notifications.domain.rule_texts import rule_texts


class Text(NamedTuple):
    """One text in both languages."""

    nl: str
    en: str


TEXTS: Mapping[str, Text] = {
    # The page
    "title": Text("Samenwerkbord", "Partner board"),
    "skip": Text("Naar de inhoud", "Skip to content"),
    "language": Text("English", "Nederlands"),
    "logout": Text("Uitloggen", "Sign out"),
    "live": Text("Live", "Live"),
    "not-live": Text("Niet live – we proberen het opnieuw", "Not live – trying again"),
    "no-access": Text(
        "Voor uw rol is er geen bord. Log uit en kies een andere login.",
        "There is no board for your role. Sign out and choose another login.",
    ),
    "referrals": Text("Verwijzingen", "Referrals"),
    "case": Text("Zaak", "Case"),
    "cases": Text("Zaken", "Cases"),
    "no-referrals": Text(
        "Er zijn nog geen verwijzingen. Nieuwe verschijnen hier vanzelf.",
        "There are no referrals yet. New ones appear here by themselves.",
    ),
    "no-cases": Text(
        "Er zijn geen open zaken. Nieuwe verschijnen hier vanzelf.",
        "There are no open cases. New ones appear here by themselves.",
    ),
    "from": Text("Van", "From"),
    "to": Text("Naar", "To"),
    "changed": Text("Gewijzigd", "Changed"),
    "reason": Text("Reden", "Reason"),
    "outcome": Text("Uitkomst", "Outcome"),
    "who": Text("Over wie gaat het?", "Who is it about?"),
    "close": Text("Sluiten", "Close"),
    "confirm": Text("Bevestigen", "Confirm"),
    "back": Text("Terug", "Back"),
    "proposals": Text("Voorgestelde hulp", "Proposed help"),
    "refer": Text("Verwijs", "Refer"),
    "signals": Text("Meldingen", "Signals"),
    "crisis": Text("Dreigende situatie", "Threatening situation"),
    "repeated": Text("Herhaalde melding", "Repeated signal"),
    "single": Text("Enkelvoudig", "Single"),
    "multiple": Text("Meervoudig", "Multiple"),
    "met": Text("Voldoet", "Met"),
    "not-met": Text("Voldoet niet", "Not met"),
    "unknown": Text("Niet bekend", "Not known"),
    "flag.no-signals-left": Text(
        "Alle meldingen zijn ingetrokken. Kijk of deze zaak dicht kan.",
        "All signals were withdrawn. See whether this case can be closed.",
    ),
    "flag.person-merged": Text(
        "Deze inwoner bleek al bekend te zijn. Kijk of er nog een zaak van deze inwoner is.",
        "This resident turned out to be known already. See whether there is another case of this resident.",
    ),
    "flag.choice-not-offered": Text(
        "De inwoner koos hulp die er nu niet is. Zoek samen andere hulp.",
        "The resident chose help that is not there now. Look for other help together.",
    ),
    "flag.choice-without-municipality": Text(
        "De inwoner koos hulp, maar daarvan kon geen verwijzing worden gemaakt. Verwijs zelf.",
        "The resident chose help, but no referral could be made of that. Refer yourself.",
    ),
    "flag": Text("Iemand moet naar deze zaak kijken.", "Somebody has to look at this case."),
    # Status
    "made": Text("Nieuw", "New"),
    "accepted": Text("Geaccepteerd", "Accepted"),
    "declined": Text("Afgewezen", "Declined"),
    "waitlisted": Text("Op de wachtlijst", "On the waiting list"),
    "started": Text("Hulp gestart", "Help started"),
    "ended": Text("Hulp afgerond", "Help ended"),
    "cancelled": Text("Ingetrokken", "Cancelled"),
    "expired": Text("Verlopen", "Expired"),
    "open": Text("Open", "Open"),
    "closed": Text("Gesloten", "Closed"),
    # Actions
    "accept": Text("Accepteren", "Accept"),
    "decline": Text("Afwijzen", "Decline"),
    "waitlist": Text("Op de wachtlijst", "Put on waiting list"),
    "start": Text("Hulp starten", "Start help"),
    "end": Text("Hulp afronden", "End help"),
    "cancel": Text("Intrekken", "Cancel"),
    # Codes
    "reason.capacity": Text("Geen plaats", "No room"),
    "reason.not-eligible": Text("Voldoet niet aan de voorwaarden", "Not eligible"),
    "reason.outside-area": Text("Buiten ons werkgebied", "Outside our area"),
    "reason.missing-information": Text("Er ontbreken gegevens", "Information is missing"),
    "reason.other-help-running": Text("Er loopt al andere hulp", "Other help is running"),
    "reason.safety": Text("Veiligheid", "Safety"),
    "reason.other": Text("Anders", "Other"),
    "reason.additional-assessment": Text("Eerst een eigen beoordeling nodig", "Needs an assessment first"),
    "reason.withdrawn-by-resident": Text("De inwoner ziet ervan af", "Withdrawn by the resident"),
    "reason.no-contact": Text("Geen contact gekregen", "No contact"),
    "reason.other-help-found": Text("Andere hulp gevonden", "Other help was found"),
    "reason.moved-away": Text("Verhuisd", "Moved away"),
    "reason.made-in-error": Text("Per vergissing gemaakt", "Made in error"),
    "outcome.completed": Text("Afgerond", "Completed"),
    "outcome.partly": Text("Deels afgerond", "Partly completed"),
    "outcome.stopped-by-resident": Text("Gestopt door de inwoner", "Stopped by the resident"),
    "outcome.no-contact": Text("Geen contact gekregen", "No contact"),
    "outcome.referred-on": Text("Doorverwezen", "Referred on"),
    "outcome.failed": Text("Niet gelukt", "Did not succeed"),
    **{key: Text(*text) for key, text in rule_texts().items()},
    # Who it is about
    "safe-contact": Text(
        "Let op: veilig contact. Houd u aan het volgende.",
        "Take care: safe contact. Keep to the following.",
    ),
    "withheld": Text(
        "Niet zichtbaar, tot een professional het vrijgeeft", "Not shown until a professional releases it"
    ),
    "safe-contact.secret-address": Text(
        "Het adres is geheim: geef het aan niemand door.", "The address is secret: tell it to nobody."
    ),
    "safe-contact.letter": Text("Stuur geen brief.", "Send no letter."),
    "safe-contact.call": Text("Bel niet.", "Do not call."),
    "safe-contact.message": Text("Stuur geen sms, app of e-mail.", "Send no text message or e-mail."),
    "safe-contact.visit": Text("Ga niet langs.", "Do not visit."),
    "release": Text("Contactgegevens vrijgeven", "Release contact details"),
    "release.referrals": Text(
        "Wat mag de ontvanger van deze verwijzing zien?", "What may the receiver of this referral see?"
    ),
    "release.cases": Text(
        "Wat mogen medewerkers van uw gemeente bij deze zaak zien?",
        "What may employees of your municipality see with this case?",
    ),
    "release.address": Text("Het adres", "The address"),
    "release.phone": Text("Het telefoonnummer", "The phone number"),
    "release.email": Text("Het e-mailadres", "The e-mail address"),
    "release.why": Text("Waarom mag dat?", "Why is that allowed?"),
    "release.resident-agreed": Text("De inwoner vindt het goed", "The resident agrees"),
    "release.safety-checked": Text("Ik heb nagegaan dat het veilig is", "I have checked that it is safe"),
    "release.legal-duty": Text("De wet verplicht het", "The law demands it"),
    # A code with which the resident sees their own log
    "resident-code": Text("Code voor de inwoner", "Code for the resident"),
    "resident-code.how": Text(
        "Hiermee ziet de inwoner wat er met zijn of haar gegevens is gedaan. Geef de code alleen aan de inwoner zelf:"
        " ga na met wie u spreekt. De code werkt één keer.",
        "With this the resident sees what was done with their data. Give the code to the resident alone: make sure"
        " whom you are speaking to. It works once.",
    ),
    "resident-code.code": Text("Code", "Code"),
    "resident-code.until": Text("Geldig tot", "Valid until"),
    "resident-code.page": Text("In te vullen op", "To be entered at"),
    "name": Text("Naam", "Name"),
    "surname": Text("Achternaam", "Surname"),
    "birthDate": Text("Geboortedatum", "Date of birth"),
    "bsn": Text("BSN", "BSN"),
    "postcode": Text("Postcode", "Postcode"),
    "houseNumber": Text("Huisnummer", "House number"),
    "houseNumberAddition": Text("Toevoeging", "Addition"),
    "phone": Text("Telefoon", "Phone"),
    "email": Text("E-mail", "E-mail"),
    "nobody": Text("Er zijn geen gegevens die u mag zien.", "There is nothing that you may see."),
}

ERRORS: Mapping[int, Text] = {
    400: Text("Er ontbreekt iets, of iets is niet goed gekozen.", "Something is missing, or not well chosen."),
    401: Text("Uw sessie is verlopen. Log opnieuw in.", "Your session has ended. Sign in again."),
    403: Text("Met uw rol kan dit niet.", "Your role may not do this."),
    404: Text("Dit is niet (meer) te vinden.", "This cannot be found (any more)."),
    409: Text(
        "Dit kan nu niet: de verwijzing of zaak is intussen veranderd.",
        "This is not possible now: the referral or case has changed in the meantime.",
    ),
    503: Text("Dit lukt nu even niet. Probeer het zo opnieuw.", "This does not work right now. Try again soon."),
}
