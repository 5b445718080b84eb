"""Makes the PDF files that the tests of extraction read.

usage: pip install reportlab pypdf cryptography pillow; python3 make_pdfs.py
Fonts are those that reportlab brings (Bitstream Vera, embedded as subsets with ToUnicode maps) and the standard ones, which are not embedded.
"""
import io
import pathlib

import PIL.Image
import pypdf
import reportlab
from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

HERE = pathlib.Path(__file__).parent
PROSE = (
    "The lease ends on 31 May. The deposit is three rents, and it is paid back within two months after the keys were "
    "returned, less what repairs of damage cost; the office decides what counts as damage and what as wear."
)
ACCENTS = "Größe, naïve façade, Čeština: every character stands for itself, even €."


def paged(path):
    """Two pages of prose in embedded and standard fonts, compressed."""
    styles = getSampleStyleSheet()
    vera = styles["BodyText"].clone("vera", fontName="Vera", alignment=4)
    story = [
        Paragraph("Lease", styles["Heading1"]),
        Paragraph(PROSE, styles["BodyText"]),
        Spacer(1, 0.5 * cm),
        Paragraph(ACCENTS, vera),
        PageBreak(),
        Paragraph("Garden", styles["Heading1"]),
        Paragraph("The roses are cut in March.", vera),
    ]
    SimpleDocTemplate(str(path), pagesize=A5, invariant=1, pageCompression=1).build(story)


def scanned(path):
    """A page that is a picture."""
    canvas = Canvas(str(path), pagesize=A5, invariant=1)
    picture = io.BytesIO()
    PIL.Image.new("L", (64, 64), 200).save(picture, "PNG")
    canvas.drawImage(ImageReader(picture), 0, 0, 200, 200)
    canvas.showPage()
    canvas.save()


def encrypted(source, path, user, owner):
    writer = pypdf.PdfWriter(clone_from=source)
    writer.encrypt(user_password=user, owner_password=owner, algorithm="AES-256")
    writer.write(path)


pdfmetrics.registerFont(TTFont("Vera", pathlib.Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"))
paged(HERE / "lease.pdf")
scanned(HERE / "scanned.pdf")
encrypted(HERE / "lease.pdf", HERE / "password.pdf", "secret", "owner")
encrypted(HERE / "lease.pdf", HERE / "restricted.pdf", "", "owner")
