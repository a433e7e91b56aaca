"""The events of Hulpketen: typed models, one catalogue, the CloudEvents envelope with encode and decode."""

from hulpketen_contracts.cases import CaseClosed, CaseOpened, CaseState, CaseUpdated
from hulpketen_contracts.catalogue import CATALOGUE, EVENTS, TOPICS, Topic
from hulpketen_contracts.checkpoints import CheckpointPublished
from hulpketen_contracts.codec import (
    CONTENT_TYPE,
    STRUCTURED_CONTENT_TYPE,
    Decoded,
    Message,
    decode,
    encode,
    from_structured,
    peek,
    to_structured,
    with_sequence,
)
from hulpketen_contracts.deadlines import Deadline, DeadlineApproaching, DeadlinePassed
from hulpketen_contracts.directory import EligibilityRule, OrganisationChanged, ServiceChanged
from hulpketen_contracts.envelope import MAX_EVENT_BYTES, Envelope, Position
from hulpketen_contracts.errors import DecodeError, EncodeError, EventTooLarge, PersonalDataRefused
from hulpketen_contracts.event import Event, Part
from hulpketen_contracts.help import HelpEnded, HelpStarted
from hulpketen_contracts.partners import PartnerCaseChanged, PartnerCheckpointPublished, PartnerReferralChanged
from hulpketen_contracts.persons import PersonErased, PersonMerged
from hulpketen_contracts.processing import AccessLogged, ProcessingLogged
from hulpketen_contracts.referrals import (
    Proposal,
    ReferralAccepted,
    ReferralCancelled,
    ReferralDeclined,
    ReferralExpired,
    ReferralMade,
    ReferralsProposed,
    ReferralState,
    ReferralWaitlisted,
    RuleOutcome,
)
from hulpketen_contracts.signals import SignalReceived, SignalRefused, SignalWithdrawn
from hulpketen_contracts.tests import ChoiceConfirmed, TestCompleted
from hulpketen_contracts.values import Personal

__all__ = [
    "CATALOGUE",
    "CONTENT_TYPE",
    "EVENTS",
    "MAX_EVENT_BYTES",
    "STRUCTURED_CONTENT_TYPE",
    "TOPICS",
    "AccessLogged",
    "CaseClosed",
    "CaseOpened",
    "CaseState",
    "CaseUpdated",
    "CheckpointPublished",
    "ChoiceConfirmed",
    "Deadline",
    "DeadlineApproaching",
    "DeadlinePassed",
    "DecodeError",
    "Decoded",
    "EligibilityRule",
    "EncodeError",
    "Envelope",
    "Event",
    "EventTooLarge",
    "HelpEnded",
    "HelpStarted",
    "Message",
    "OrganisationChanged",
    "Part",
    "PartnerCaseChanged",
    "PartnerCheckpointPublished",
    "PartnerReferralChanged",
    "PersonErased",
    "PersonMerged",
    "Personal",
    "PersonalDataRefused",
    "Position",
    "ProcessingLogged",
    "Proposal",
    "ReferralAccepted",
    "ReferralCancelled",
    "ReferralDeclined",
    "ReferralExpired",
    "ReferralMade",
    "ReferralState",
    "ReferralWaitlisted",
    "ReferralsProposed",
    "RuleOutcome",
    "ServiceChanged",
    "SignalReceived",
    "SignalRefused",
    "SignalWithdrawn",
    "TestCompleted",
    "Topic",
    "decode",
    "encode",
    "from_structured",
    "peek",
    "to_structured",
    "with_sequence",
]
