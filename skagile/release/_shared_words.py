"""Words by which a name, an identifier and what all people share are told apart in headers and file names."""

_NAMES = """
name patient patientname pat surname lastname firstname forename givenname middlename fullname familyname subjectname
vorname nachname nom prenom nombre apellido physician doctor arzt technician operator referringphysician referredby
nurse contact signedby
"""
_IDENTIFIERS = """
id patientid pid mrn ssn subject subjectid caseid case accession accessionnumber hospitalnumber insurance insuranceid
phone telephone tel email mail address street zip postcode city studyid visitid encounter serial nhs nhsnumber recordid
barcode
"""
_KEPT = """
age sex gender dx diagnosis diagnoses diagnose reasonforadmission rhythm hx rx sx medication medications therapy drugs
device recorder acquisition filter leads lead samplingrate samplingfrequency rate gain units unit heartaxis electricaxis
height weight bmi race smoker hypertension infarction database source version acuteinfarction formerinfarction
additionaldiagnoses infarctionlocalization software format
"""
_ANYBODY = """
patient subject record recording person session visit study case cohort control normal sinus rhythm holter standard
original released release data male female none unknown anonymous removed volunteer healthy lead leads signal test train
ecgs records patients subjects folder hospital ward clinic left right atrial first second third part file files exam
rest stress exercise before after
"""
_DIAGNOSES = """
normal sinus rhythm arrhythmia atrial ventricular supraventricular junctional nodal fibrillation flutter tachycardia
bradycardia premature contraction contractions beat beats complex complexes ectopic extrasystole extrasystoles pvc pvcs
pac pacs vt svt af afib block av bundle branch left right complete incomplete degree first second third anterior
inferior posterior lateral septal fascicular hemiblock myocardial infarction acute old ischemia ischaemia hypertrophy
hypertension angina failure heart cardiomyopathy pacemaker paced pacing syndrome long qt qrs pr st t wave waves
elevation depression change changes abnormal abnormality unspecific nonspecific axis deviation low voltage valve
stenosis regurgitation mitral aortic coronary artery disease palpitation syncope dysrhythmia healthy control wpw
preexcitation escape idioventricular sick of the and with no or in
"""

# Keys of a comment or a column, without spaces.
NAME_KEYS = frozenset(_NAMES.split())
ID_KEYS = frozenset(_IDENTIFIERS.split())
SHARED_KEYS = frozenset(_KEPT.split())  # their value is kept on purpose, or tells of no person
COMMON = frozenset(_ANYBODY.split())  # words in comments and file names of many people
MEDICAL = frozenset(_DIAGNOSES.split())  # words of diagnoses, which a release keeps on purpose
