import os

from django.core.wsgi import get_wsgi_application

from billing_project.embedded.processes import die_with_supervised_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")
os.environ["COUNTINGHOUSE_PROCESS"] = "web"

die_with_supervised_parent()  # the web server loads this in each of its worker processes
application = get_wsgi_application()
